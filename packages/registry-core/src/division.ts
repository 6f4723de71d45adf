import { type InstanceKey, type InstanceRecord, keyText } from "@meshwork/contract"
import { rendezvous } from "./rules/rendezvous.ts"
import type { ServerInfo } from "./storage-port.ts"

/** Which server ends which lease and probes which instance, by who announced itself. */
export class Division {
  readonly #self: string
  readonly #shared: boolean
  #present: ReadonlyMap<string, ServerInfo> = new Map()

  /** @param shared whether there can be other servers; a server of its own does everything */
  constructor(self: string, shared: boolean) {
    this.#self = self
    this.#shared = shared
  }

  /** Whether this server is among those that the others see, so that what it is to do is its own to do. */
  get announced(): boolean {
    return !this.#shared || this.#present.has(this.#self)
  }

  /** Who is there, by id. */
  get servers(): readonly ServerInfo[] {
    return [...this.#present.values()]
  }

  /** Whether a server is there. */
  has(server: string): boolean {
    return this.#present.has(server)
  }

  isSelf(server: string | undefined): boolean {
    return server === this.#self
  }

  /** Takes note of who is there; whether that is news. */
  update(servers: readonly ServerInfo[]): boolean {
    const same = servers.length === this.#present.size && servers.every(({ id }) => this.#present.has(id))
    this.#present = new Map(servers.map((server) => [server.id, server]))
    return !same
  }

  /** Whether this server hears an instance as its keeper, or stands in for a keeper that is gone. */
  keeps(record: InstanceRecord): boolean {
    if (!this.#shared) return true
    const { keeper } = record
    if (keeper !== undefined && this.#present.has(keeper)) return keeper === this.#self
    return this.#isFor(record)
  }

  /** Whether this server is the one to probe an instance. */
  probes(key: InstanceKey): boolean {
    return !this.#shared || this.#isFor(key)
  }

  /** The server that probes an instance, among those that are there. */
  prober(key: InstanceKey): ServerInfo | undefined {
    const id = rendezvous(keyText(key), this.#present.keys())
    return id === undefined ? undefined : this.#present.get(id)
  }

  #isFor(key: InstanceKey): boolean {
    return rendezvous(keyText(key), this.#present.keys()) === this.#self
  }
}
