import { keyText } from "@meshwork/contract"
import type { ServerInfo, SharedStorage, StorageChange, StorageNews, StoredState } from "../storage-port.ts"

const patienceMs = 15_000

/** What a server hears of a shared storage, for tests: everything that was yielded, in order. */
export class StorageFollower {
  readonly changes: StorageChange[] = []
  readonly resets: StoredState[] = []
  readonly servers: ServerInfo[][] = []
  /** Yields without changes. */
  confirmations = 0
  revision = 0
  readonly #stop: AbortController = new AbortController()
  readonly #loops: Promise<void>[] = []
  readonly #waiting = new Set<() => void>()

  /** @param self announces this server too, and follows who is there */
  constructor(storage: SharedStorage, self?: ServerInfo) {
    this.#loops.push(this.#follow(storage.changes(this.#stop.signal), (news: StorageNews) => this.#note(news)))
    if (self) this.#loops.push(this.#follow(storage.servers(self, this.#stop.signal), (servers) => this.servers.push(servers)))
  }

  /** Changes of one instance as `put`, its version, or `delete`. */
  of(service: string, id: string): string[] {
    return this.changes
      .filter((change) => changedKey(change) === `${service}/${id}`)
      .map((change) => (change.op === "put" ? change.stored.version : "delete"))
  }

  /** Ids of the servers that are there. */
  get present(): string[] {
    return (this.servers.at(-1) ?? []).map(({ id }) => id).sort()
  }

  /** Resolves once `holds`; rejects after 15 s. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const limit = performance.now() + patienceMs
    while (!holds()) {
      const left = limit - performance.now()
      if (left <= 0)
        throw new Error(`not within ${patienceMs / 1000} s: ${what}; heard ${this.changes.length} changes and ${this.resets.length} resets`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 500))
        this.#waiting.add(() => {
          clearTimeout(timer)
          resolve()
        })
      })
      this.#waiting.clear()
    }
  }

  /** Ends both loops; resolves when they have ended. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#loops)
  }

  #note(news: StorageNews): void {
    if ("reset" in news) {
      this.resets.push(news.reset)
      this.revision = news.reset.revision
      return
    }
    this.revision = news.revision
    if (news.changes.length === 0) this.confirmations++
    this.changes.push(...news.changes)
  }

  async #follow<T>(source: AsyncIterable<T>, note: (value: T) => void): Promise<void> {
    for await (const value of source) {
      note(value)
      for (const wake of this.#waiting) wake()
    }
  }
}

/** Text of the key that a change is about. */
export function changedKey(change: StorageChange): string {
  return keyText(change.op === "put" ? change.stored.record : change.key)
}
