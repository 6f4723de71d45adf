import { type Clock, type InstanceKey, MeshError, type Random, sleep } from "@meshwork/contract"
import { sampleRegistration } from "./open-registry.ts"
import type { Registry } from "../registry.ts"

const by = { origin: "api", by: "sdk" } as const

const wanderShare = 0.1

/** A server of a simulation as an instance sees it. */
export interface Reachable {
  readonly id: string
  readonly fault?: string | undefined
  /** Does something there: at once, later, or never. */
  call<T>(work: (registry: Registry) => T | Promise<T>): Promise<T>
}

/** An instance of a simulation that keeps itself registered as the SDK does, at any of several servers. */
export class SimulatedInstance {
  readonly key: InstanceKey
  readonly port: number
  readonly ttlSeconds: number
  readonly #boot: string
  readonly #clock: Clock
  readonly #random: Random
  readonly #servers: () => readonly Reachable[]
  readonly #stop: AbortController = new AbortController()
  #preferred: number
  #known = false
  readonly #trace: string[] = []
  /** Since when it is registered, for whoever asks a server that reaches its store. */
  acknowledgedAt: number | undefined
  /** When it ended without a word. */
  diedAt: number | undefined
  /** Set once it began to deregister itself. */
  left = false
  /** Whether its host is gone too, so that nobody there refuses a connection. */
  readonly unreachable: boolean

  constructor(
    key: InstanceKey,
    options: { port: number; ttlSeconds: number; unreachable: boolean; clock: Clock; random: Random; servers: () => readonly Reachable[] },
  ) {
    this.key = key
    this.port = options.port
    this.ttlSeconds = options.ttlSeconds
    this.unreachable = options.unreachable
    this.#boot = `${options.port}`
    this.#clock = options.clock
    this.#random = options.random
    this.#servers = options.servers
    this.#preferred = Math.floor(options.random() * options.servers().length)
  }

  get lives(): boolean {
    return this.diedAt === undefined && !this.left
  }

  /** What it did last: when it called which server, and what that answered. */
  get story(): string {
    return `ttl ${this.ttlSeconds} s; ${this.#trace.join(", ")}`
  }

  /** Registers, and sends heartbeats until it ends. */
  async live(): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted; ) {
      const done = await this.#tell()
      failures = done ? 0 : failures + 1
      const third = (this.ttlSeconds * 1000) / 3
      const wait = done ? third * (0.9 + this.#random() * 0.2) : Math.min(5000, 200 * 2 ** failures) * (0.5 + this.#random() / 2)
      await sleep(this.#clock, wait, this.#stop.signal)
    }
  }

  /** Ends as a killed process does; `since` when that was. */
  die(since: number = this.#clock.monotonic()): void {
    this.diedAt = since
    this.#stop.abort()
  }

  /** Deregisters itself at some server, and ends. */
  async leave(): Promise<void> {
    const since = this.#clock.monotonic()
    this.left = true
    this.#stop.abort()
    for (const server of this.#servers()) {
      const gone = await this.#within(server.call((registry) => registry.deregister(this.key, { by: "sdk", boot: this.#boot }))).catch(
        () => undefined,
      )
      if (gone !== undefined) return
    }
    this.die(since)
  }

  /** A heartbeat, or a registration where that is needed, at the first server that takes it. */
  async #tell(): Promise<boolean> {
    const servers = this.#servers()
    // A load balancer between, or a name with several addresses: callers do not stay where they are.
    if (this.#random() < wanderShare) this.#preferred = Math.floor(this.#random() * servers.length)
    let pending = false
    for (let step = 0; step < servers.length && !this.#stop.signal.aborted; step++) {
      const index = (this.#preferred + step) % servers.length
      const server = servers[index]
      if (server === undefined) continue
      const reply = await this.#within(server.call((registry) => this.#at(registry))).catch(() => undefined)
      this.#trace.push(`${(this.#clock.monotonic() / 1000).toFixed(2)} ${server.id}${server.fault ? ` (${server.fault})` : ""}: ${reply ?? "none"}`)
      if (this.#trace.length > 8) this.#trace.shift()
      pending ||= reply === 202
      if (reply !== 200) continue
      this.#preferred = index
      return true
    }
    // Whoever fails to reach anybody registers anew, as the SDK does.
    if (!pending) this.#known = false
    return pending
  }

  async #at(registry: Registry): Promise<number> {
    if (this.#known) {
      const { status } = registry.heartbeat({ ...this.key, boot: this.#boot })
      if (status !== 404) return status
    }
    // What a server does that stood still when it was called, for one that ended meanwhile.
    if (this.#stop.signal.aborted) throw new MeshError("aborted", "the caller is gone")
    const { port, ttlSeconds } = this
    await registry.register(this.key, sampleRegistration({ port, ttlSeconds, boot: this.#boot }), by)
    this.#known = true
    this.acknowledgedAt ??= this.#clock.monotonic()
    return 200
  }

  async #within<T>(work: Promise<T>): Promise<T | true> {
    const over = new AbortController()
    const limitMs = Math.max(1000, (this.ttlSeconds * 1000) / 6)
    const late = sleep(this.#clock, limitMs, over.signal).then(() => {
      throw new MeshError("connection_failed", "no answer in time")
    })
    late.catch(() => {})
    try {
      return await Promise.race([work.then((value) => value ?? true), late])
    } finally {
      over.abort()
    }
  }
}
