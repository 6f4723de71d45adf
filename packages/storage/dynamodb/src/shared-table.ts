import { randomUUID } from "node:crypto"
import { type Clock, MeshError, type Random, sleep } from "@meshwork/contract"
import type { OpResult, StorageChange, StorageOp, StoredState } from "@meshwork/registry-core"
import { ChangeLog, LostTrack } from "./change-log.ts"
import { compareRows, stillNews, tasksOf } from "./compare-rows.ts"
import { load } from "./load.ts"
import { type LoggedChange, type LogRow, revisionsOf } from "./log-row.ts"
import { Materializer } from "./materializer.ts"
import type { NewsQueue } from "./news-queue.ts"
import { Replica } from "./replica.ts"
import { readTableRows, type TableRows } from "./table-rows.ts"
import type { Table } from "./table.ts"

const maxLoads = 5
const settleMs = 3000
/** Whoever makes a change brings the rows after it well within this time. */
const inFlightMs = 5000
const importsPerRow = 20
/** After this long without an answer the table is asked before anything is judged. */
const contactMs = 2000

export interface SharedTableOptions {
  table: Table
  clock: Clock
  random: Random
  legacyTtlSeconds: number
  slots: number
  notice: (message: string) => void
  news: NewsQueue
}

/** What one server knows of a table, and does to keep its log and its rows together. */
export class SharedTable {
  readonly #options: SharedTableOptions
  readonly #id: string = randomUUID()
  readonly #rows: Materializer
  readonly #log: ChangeLog
  /** The last row of the log whose changes stand in the other rows, as do those before it. */
  #settled = 0
  #waiting: { ops: readonly StorageOp[]; resolve: (results: OpResult[]) => void; reject: (error: MeshError) => void }[] = []
  #contactAt = Number.NEGATIVE_INFINITY

  constructor(options: SharedTableOptions) {
    this.#options = options
    const { table, clock, random } = options
    this.#rows = new Materializer(table, clock)
    this.#log = new ChangeLog(new Replica({ generation: 0, epoch: "", sequence: 0, revision: 0, slots: 1, nonce: "" }), {
      table,
      clock,
      random,
      id: this.#id,
      applied: (row, changes) => this.#applied(row, changes),
      settled: () => this.#settled,
      settle: () => this.#settle(),
      reload: () => this.#reload(),
    })
  }

  /** Reads everything, and takes in what lyft/discovery itself put into the table. */
  async open(): Promise<void> {
    const { imports } = await this.#load(false)
    await this.#import(imports)
  }

  /** The state at which the news begin. */
  begin(): StoredState {
    this.#options.news.clear()
    return this.state()
  }

  state(): StoredState {
    return this.#log.replica.state()
  }

  /** What comes while a commit is under way makes the next one together. */
  commit(ops: readonly StorageOp[]): Promise<OpResult[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ops, resolve, reject })
      if (this.#waiting.length === 1) void this.#log.exclusive(() => this.#commitWaiting())
    })
  }

  async #commitWaiting(): Promise<void> {
    const group = this.#waiting
    this.#waiting = []
    try {
      // An empty commit asks whether the table answers.
      if (this.#options.clock.monotonic() - this.#contactAt > contactMs) await this.#catchUp()
      const results = await this.#log.commit(group.flatMap(({ ops }) => ops))
      for (const { ops, resolve } of group) resolve(results.splice(0, ops.length))
    } catch (error) {
      for (const { reject } of group) reject(MeshError.from(error))
    }
  }

  /** Reads what is new, and says that nothing else was. */
  poll(): Promise<void> {
    return this.#log.exclusive(async () => {
      await this.#catchUp()
      this.#options.news.push(this.#log.replica.position.revision, [])
    })
  }

  /** Compares the rows with the log: brings up to date what a server left undone that ended, and takes in what lyft/discovery did. */
  async census(signal: AbortSignal): Promise<void> {
    const { table, clock, legacyTtlSeconds } = this.#options
    const { sequence, revision, epoch } = this.#log.replica.position
    const learnedBy = clock.monotonic()
    await sleep(clock, inFlightMs, signal)
    if (signal.aborted) return
    const rows = await readTableRows(table, false, legacyTtlSeconds)
    if (signal.aborted || this.#log.replica.position.epoch !== epoch) return
    const { imports } = this.#compare(rows, learnedBy, revision)
    await this.#rows.drained()
    if (this.#log.replica.position.epoch === epoch) this.#settled = Math.max(this.#settled, sequence)
    await this.#import(imports)
  }

  /** Resolves when every row is written. */
  drained(): Promise<void> {
    return this.#rows.drained()
  }

  stop(): void {
    this.#rows.stop()
  }

  async #catchUp(): Promise<void> {
    try {
      await this.#log.catchUp()
      this.#contactAt = this.#options.clock.monotonic()
    } catch (error) {
      if (!(error instanceof LostTrack)) throw error
      await this.#reload()
    }
  }

  #applied(row: LogRow, changes: StorageChange[]): void {
    this.#contactAt = this.#options.clock.monotonic()
    if (changes.length > 0) this.#options.news.push(row.revision, changes)
    if (!row.nonce.startsWith(this.#id)) return
    const revisions = revisionsOf(row)
    for (const [index, change] of row.changes.entries())
      for (const task of tasksOf(change, revisions[index] ?? row.revision, row.at)) this.#rows.add(task)
  }

  async #reload(): Promise<void> {
    // What lyft/discovery did waits for the next census.
    await this.#load(true)
    const { epoch } = this.#log.replica.position
    this.#options.news.reset()
    this.#options.notice(
      `the DynamoDB table ${this.#options.table.name} was read anew: its log did not go on where it had been read to (epoch ${epoch})`,
    )
  }

  /** Reads everything anew and brings the rows after it. */
  async #load(again: boolean): Promise<{ imports: LoggedChange[] }> {
    const { table, clock, slots, legacyTtlSeconds } = this.#options
    const known = again ? { ...this.#log.replica.position } : undefined
    for (let tries = 1; ; tries++) {
      const { replica, rows } = await load({ table, clock, slots, legacyTtlSeconds }, known)
      this.#log.replace(replica)
      // Nobody writes over a row of the log that is not settled.
      const { sequence, revision, slots: room, epoch } = replica.position
      // What was to be done in another data set has no place in this one.
      if (known !== undefined && known.epoch !== epoch) this.#rows.clear()
      this.#settled = sequence - room
      try {
        await this.#log.catchUp()
        this.#contactAt = clock.monotonic()
        const compared = this.#compare(rows, Number.POSITIVE_INFINITY, revision)
        void this.#rows.drained().then(() => {
          if (this.#log.replica === replica) this.#settled = Math.max(this.#settled, sequence)
        })
        return compared
      } catch (error) {
        if (!(error instanceof LostTrack)) throw error
        if (tries === maxLoads) throw new MeshError("storage_unavailable", `the DynamoDB table ${table.name} changes faster than it can be read`)
      }
    }
  }

  #compare(rows: TableRows, learnedBy: number, revision: number): { imports: LoggedChange[] } {
    const { replica } = this.#log
    const { tasks, imports } = compareRows(replica, rows, { learnedBy, revision, now: this.#options.clock.now() })
    for (const task of tasks) this.#rows.addUnlessThere(task)
    return { imports }
  }

  /** Frees slots of the log: every row is brought to where the log is. */
  async #settle(): Promise<void> {
    const { table, clock, legacyTtlSeconds } = this.#options
    const { sequence, revision } = this.#log.replica.position
    const rows = await readTableRows(table, false, legacyTtlSeconds)
    this.#compare(rows, Number.POSITIVE_INFINITY, revision)
    const drained = this.#rows.drained().then(() => true)
    if (await Promise.race([drained, sleep(clock, settleMs).then(() => false)])) this.#settled = Math.max(this.#settled, sequence)
  }

  async #import(imports: readonly LoggedChange[]): Promise<void> {
    for (let from = 0; from < imports.length; from += importsPerRow) {
      const some = imports.slice(from, from + importsPerRow)
      await this.#log.exclusive(async () => {
        for (;;) {
          const news = some.filter((change) => stillNews(this.#log.replica, change))
          if (news.length === 0 || (await this.#log.append(news))) return
          await this.#catchUp()
        }
      })
    }
  }
}
