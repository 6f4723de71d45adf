import { type Clock, MeshError, type Timer } from "@meshwork/contract"
import type { ServerInfo, SharedStorage, StorageNews } from "./storage-port.ts"

/** How long a server may not reach its store before its answers count as stale, ms. */
export const staleAfterMs = 5000
const pauseMs = 2000
const lookEveryMs = 500
const retryAfterMs = 2000

export interface SharedFeedOptions {
  storage: SharedStorage
  self: ServerInfo
  clock: Clock
  /** Applies what the storage tells. */
  news: (news: StorageNews) => void
  /** Takes note of who is there. */
  servers: (servers: readonly ServerInfo[]) => void
  /** Called when the store is lost, with the Unix ms since when, and without when it is back and everything missed has been applied. */
  reached: (staleSince: number | undefined) => void
  /** Called when the store says that everything was told, after it had said nothing for 2 s or more without being lost. */
  resumed: () => void
  log: (level: "info" | "warn" | "error", message: string, fields?: Readonly<Record<string, unknown>>) => void
}

interface Waiting {
  revision: number
  resolve: () => void
  reject: (error: MeshError) => void
}

/** What a server hears of its shared storage: applies changes in order, and knows how old its knowledge is. */
export class SharedFeed {
  readonly #options: SharedFeedOptions
  readonly #stop: AbortController = new AbortController()
  #loops: Promise<void>[] = []
  #waiting: Waiting[] = []
  /** Everything up to here has been applied. */
  #revision: number
  #epoch: string
  /** When the storage last confirmed that everything had been told. */
  #confirmedAt: number
  #confirmedWall: number
  #stale = false
  #timer: Timer | undefined

  /** @param position where the storage's `open` ended */
  constructor(options: SharedFeedOptions, position: { epoch: string; revision: number }) {
    this.#options = options
    this.#epoch = position.epoch
    this.#revision = position.revision
    this.#confirmedAt = options.clock.monotonic()
    this.#confirmedWall = options.clock.now()
  }

  /** How long ago the storage last confirmed that everything had been told, ms. */
  get silenceMs(): number {
    return this.#options.clock.monotonic() - this.#confirmedAt
  }

  /** For how long the store has not been reached, ms; undefined while it is. */
  get staleForMs(): number | undefined {
    const silence = this.silenceMs
    return this.#stale || silence > staleAfterMs ? silence : undefined
  }

  /** Why nothing can be stored now; undefined while the store is reached. */
  get fault(): MeshError | undefined {
    const staleForMs = this.staleForMs
    if (staleForMs === undefined) return undefined
    const { name } = this.#options.storage
    return new MeshError("storage_unavailable", `the storage ${name} has not been reached for ${Math.round(staleForMs / 1000)} s`, { retryAfterMs })
  }

  /** Begins to follow the storage. */
  start(): void {
    const { storage, self, servers, log } = this.#options
    const { signal } = this.#stop
    const follow = async <T>(what: string, source: () => AsyncIterable<T>, apply: (value: T) => void) => {
      try {
        for await (const value of source()) apply(value)
      } catch (error) {
        log("error", `the ${what} of the storage ${storage.name} ended: ${MeshError.from(error).message}`)
      }
    }
    this.#loops = [
      follow(
        "changes",
        () => storage.changes(signal),
        (news) => this.#apply(news),
      ),
      follow("announcements", () => storage.servers(self, signal), servers),
    ]
    this.#look()
  }

  /** Resolves once everything up to `revision` is applied; rejects with `storage_unavailable` when the store is lost meanwhile. */
  applied(revision: number): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve()
    return new Promise((resolve, reject) => this.#waiting.push({ revision, resolve, reject }))
  }

  /** Withdraws the announcement and ends both loops. Idempotent. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.#timer?.cancel()
    await Promise.all(this.#loops)
    this.#rejectAll("the registry is closing")
  }

  #apply(news: StorageNews): void {
    this.#options.news(news)
    const { revision, epoch } = "reset" in news ? news.reset : { revision: news.revision, epoch: this.#epoch }
    // Where the counting begins anew nobody knows what became of what was stored: whoever waits looks again.
    const anew = epoch !== this.#epoch
    this.#revision = anew ? revision : Math.max(this.#revision, revision)
    this.#epoch = epoch
    if (this.#waiting.length > 0) {
      const due = this.#waiting.filter((waiting) => anew || waiting.revision <= this.#revision)
      this.#waiting = anew ? [] : this.#waiting.filter((waiting) => waiting.revision > this.#revision)
      for (const { resolve } of due) resolve()
    }
    if ("reset" in news || news.changes.length > 0) return
    const lost = this.staleForMs
    const paused = this.silenceMs >= pauseMs
    this.#confirmedAt = this.#options.clock.monotonic()
    this.#confirmedWall = this.#options.clock.now()
    if (lost === undefined) {
      if (paused) this.#options.resumed()
      return
    }
    this.#stale = false
    this.#options.log("info", `the storage ${this.#options.storage.name} is reached again after ${(lost / 1000).toFixed(1)} s`)
    this.#options.reached(undefined)
  }

  #look(): void {
    const { fault } = this
    if (fault !== undefined && !this.#stale) {
      this.#stale = true
      this.#options.log("error", fault.message)
      this.#rejectAll(fault.message)
      this.#options.reached(this.#confirmedWall)
    }
    this.#timer = this.#options.clock.timer(lookEveryMs, () => this.#look()).unref()
  }

  #rejectAll(message: string): void {
    const waiting = this.#waiting.splice(0)
    for (const { reject } of waiting) reject(new MeshError("storage_unavailable", message, { retryAfterMs }))
  }
}
