import { Worker } from "node:worker_threads"
import type { Clock, Timer } from "@meshwork/contract"
import type { SavedCounter, SavedStats } from "@meshwork/gateway"
import type { StatsReply, StatsRequest } from "./stats-messages.ts"

const writeEveryMs = 2000
/** Name of the row of everything; a route's is never empty. */
const everything = ""

export interface StatsDatabaseOptions {
  /** SQLite file; its folder is created. */
  path: string
  clock: Clock
  log: (level: "info" | "warn", message: string) => void
}

/** The file that keeps the counts of a gateway over restarts. Never rejects: where it cannot be used, that is said once, and counts live in memory only. */
export interface StatsDatabase {
  /** What the last run counted; undefined where there was none. */
  readonly saved: SavedStats | undefined
  /** Writes what `save` returns every 2 s, as far as it changed, and once more at the end. */
  keep(save: () => SavedStats): void
  /** Idempotent. */
  close(): Promise<void>
}

/** Opens the file in a thread of its own. */
export async function openStatsDatabase(options: StatsDatabaseOptions): Promise<StatsDatabase> {
  const database = new FileOfCounts(options)
  await database.open()
  return database
}

class FileOfCounts implements StatsDatabase {
  saved: SavedStats | undefined
  readonly #options: StatsDatabaseOptions
  readonly #waiting: ((reply: StatsReply) => void)[] = []
  /** Requests counted in what was written last, by name. */
  readonly #written = new Map<string, number>()
  #worker: Worker | undefined
  #save: (() => SavedStats) | undefined
  #timer: Timer | undefined
  #writing: Promise<void> = Promise.resolve()
  #failing = false
  #closing: Promise<void> | undefined

  constructor(options: StatsDatabaseOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    // Beside this module in the build and in the sources alike.
    const file = new URL(import.meta.url.endsWith(".ts") ? "./stats-worker.ts" : "./stats-worker.js", import.meta.url)
    const worker = new Worker(file, { execArgv: ["--disable-warning=ExperimentalWarning"] })
    this.#worker = worker
    worker.on("message", (reply: StatsReply) => this.#waiting.shift()?.(reply))
    worker.on("error", (error) => this.#ended(error.message))
    worker.on("exit", () => this.#ended("its thread has ended"))
    const reply = await this.#ask({ ask: "open", path: this.#options.path })
    if (!("opened" in reply)) {
      this.#warn("fault" in reply ? reply.fault : "no answer", "counts are kept in memory only")
      await this.close()
      return
    }
    worker.unref()
    const rows = new Map(reply.opened)
    for (const [name, counter] of rows) this.#written.set(name, total(counter))
    const all = rows.get(everything)
    rows.delete(everything)
    if (all !== undefined) this.saved = { all, routes: Object.fromEntries(rows) }
  }

  keep(save: () => SavedStats): void {
    this.#save = save
    this.#schedule()
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#timer?.cancel()
      await this.#writing
      await this.#write()
      const worker = this.#worker
      await this.#ask({ ask: "close" })
      this.#worker = undefined
      await worker?.terminate()
    })()
    return this.#closing
  }

  #schedule(): void {
    if (this.#worker === undefined || this.#closing) return
    this.#timer = this.#options.clock
      .timer(writeEveryMs, () => {
        this.#writing = this.#write().then(() => this.#schedule())
      })
      .unref()
  }

  async #write(): Promise<void> {
    if (this.#save === undefined || this.#worker === undefined) return
    const { all, routes } = this.#save()
    const now = new Map<string, SavedCounter>([[everything, all], ...Object.entries(routes)])
    const changed = [...now].filter(([name, counter]) => this.#written.get(name) !== total(counter))
    const gone = [...this.#written.keys()].filter((name) => !now.has(name))
    if (changed.length === 0 && gone.length === 0) return
    const reply = await this.#ask({ ask: "write", changed, gone })
    if ("fault" in reply) {
      if (!this.#failing) this.#warn(reply.fault, "counts are kept in memory until it can be written again")
      this.#failing = true
      return
    }
    this.#failing = false
    for (const [name, counter] of changed) this.#written.set(name, total(counter))
    for (const name of gone) this.#written.delete(name)
  }

  #ask(request: StatsRequest): Promise<StatsReply> {
    const worker = this.#worker
    if (worker === undefined) return Promise.resolve({ fault: "it is closed" })
    return new Promise((resolve) => {
      // A process that wants to end waits for what was asked, and for nothing else.
      worker.ref()
      this.#waiting.push((reply) => {
        worker.unref()
        resolve(reply)
      })
      worker.postMessage(request)
    })
  }

  #ended(why: string): void {
    this.#worker = undefined
    for (const settle of this.#waiting.splice(0)) settle({ fault: why })
  }

  #warn(why: string, then: string): void {
    this.#options.log("warn", `the statistics cannot be kept in ${this.#options.path}: ${why}; ${then}`)
  }
}

function total({ success, error }: SavedCounter): number {
  return success + error
}
