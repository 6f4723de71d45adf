import { randomUUID } from "node:crypto"
import { type Clock, MeshError, type Random, sleep } from "@meshwork/contract"
import type { OpResult, StorageChange, StorageOp } from "@meshwork/registry-core"
import { type LoggedChange, logItem, type LogRow, ownService, readLogRow, slotFree, slotKey } from "./log-row.ts"
import { draft, type Replica } from "./replica.ts"
import type { Item, Table } from "./table.ts"

/** DynamoDB takes rows of 400 KB; every server reads the last one each second, and pays for its size. A larger change has a row to itself. */
const maxRowBytes = 32_000
const patienceMs = 3000
const rowsAtOnce = 100

export interface ChangeLogOptions {
  table: Table
  clock: Clock
  random: Random
  /** Begins the nonces of the rows that this server writes. */
  id: string
  /** Told of every row that was read or written, after the replica took it in. */
  applied: (row: LogRow, changes: StorageChange[]) => void
  /** Rows up to this one may be written over: the table's other rows show all that they say. */
  settled: () => number
  /** Makes `settled` come near the end of the log. */
  settle: () => Promise<void>
  /** Replaces the replica by one read anew. */
  reload: () => Promise<void>
}

/** Thrown when the log no longer goes on where it was read to: everything has to be read anew. */
export class LostTrack extends Error {}

/**
 * The one order of all changes: a ring of rows in the table. Whoever puts row n + 1, on the condition that its slot holds an older one, has made the
 * next change; everybody else reads it first and judges again. So that a server that slept cannot write into the past, slots are never deleted.
 */
export class ChangeLog {
  readonly #options: ChangeLogOptions
  #replica: Replica
  #last: Promise<unknown> = Promise.resolve()

  constructor(replica: Replica, options: ChangeLogOptions) {
    this.#replica = replica
    this.#options = options
  }

  get replica(): Replica {
    return this.#replica
  }

  /** Goes on from another state. */
  replace(replica: Replica): void {
    this.#replica = replica
  }

  /** Runs `work` when nothing else reads or writes the log. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }

  /** Reads what was written since; to be called exclusively. Rejects with `LostTrack` where the log does not go on. */
  async catchUp(): Promise<void> {
    const { table } = this.#options
    for (let limit = 2; ; limit = rowsAtOnce) {
      const { sequence, slots } = this.#replica.position
      const from = slotKey(sequence, slots)
      const wraps = (sequence + 1) % slots === 0
      const rows = await table.range(ownService, from, slotKey(slots - 1, slots), limit)
      if (wraps) rows.push(...(await table.range(ownService, slotKey(0, slots), slotKey(slots - 1, slots), limit - 1)))
      const [known, ...read] = rows.map((item) => this.#read(item))
      this.#check(known)
      for (const row of read) if (!this.#take(row)) return
      // A page that ends at the last slot goes on at the first one.
      const more = read.length === limit - 1 || (this.#replica.position.sequence + 1) % slots === 0
      if (read.length === 0 || !more) return
    }
  }

  #read(item: Item): LogRow {
    try {
      return readLogRow(this.#options.table.name, item)
    } catch (error) {
      if (MeshError.from(error).code === "invalid_config") throw error
      throw new LostTrack("a row is damaged", { cause: error })
    }
  }

  /** The row that was read last must still be there, or others count differently now. */
  #check(row: LogRow | undefined): void {
    const { generation, sequence, nonce } = this.#replica.position
    if (row?.generation !== generation || row.sequence !== sequence || row.nonce !== nonce) throw new LostTrack()
  }

  /** Takes in the next row; false where it is an old one. */
  #take(row: LogRow): boolean {
    const { generation, epoch, sequence, slots } = this.#replica.position
    if (row.generation > generation) throw new LostTrack()
    if (row.generation < generation || row.sequence <= sequence) return false
    if (row.sequence !== sequence + 1 || row.epoch !== epoch || row.slots !== slots) throw new LostTrack()
    this.#options.applied(row, this.#replica.apply(row, this.#options.clock.monotonic()))
    return true
  }

  /** Makes changes, in one order with those of everybody else; to be called exclusively. */
  async commit(ops: readonly StorageOp[]): Promise<OpResult[]> {
    const results: OpResult[] = []
    const end = this.#options.clock.monotonic() + patienceMs
    let current = false
    while (results.length < ops.length) {
      const { changes, results: judged } = draft(this.#replica, ops.slice(results.length), maxRowBytes)
      if (!current && judged.some((result) => !result.ok)) {
        // Whether it stands so may have changed a moment ago.
        await this.#refresh(results.length > 0)
        current = true
        continue
      }
      if (changes.length === 0 || (await this.#append(changes, end))) {
        results.push(...judged)
        continue
      }
      if (this.#options.clock.monotonic() > end) throw new MeshError("storage_unavailable", "other servers keep changing the table; try again")
      await sleep(this.#options.clock, this.#options.random() * 20)
      await this.#refresh(results.length > 0)
    }
    return results
  }

  /** @param begun some of a commit is done, in a log that must go on */
  async #refresh(begun: boolean): Promise<void> {
    try {
      await this.catchUp()
    } catch (error) {
      if (!(error instanceof LostTrack)) throw error
      await this.#options.reload()
      if (begun) throw new MeshError("storage_unavailable", "the table was replaced while it was changed; try again", { cause: error })
    }
  }

  /** Adds a row with these changes; false when somebody else was faster. */
  async append(changes: LoggedChange[]): Promise<boolean> {
    return this.#append(changes, this.#options.clock.monotonic() + patienceMs)
  }

  async #append(changes: LoggedChange[], end: number): Promise<boolean> {
    const { position } = this.#replica
    const sequence = position.sequence + 1
    const overwritten = Math.max(sequence - position.slots, 0)
    if (overwritten > this.#options.settled()) await this.#options.settle()
    if (overwritten > this.#options.settled()) {
      throw new MeshError("storage_unavailable", "the log of the table is full: its rows could not be brought up to date in time")
    }
    const row: LogRow = {
      ...position,
      sequence,
      revision: position.revision + changes.length,
      nonce: `${this.#options.id} ${randomUUID()}`,
      at: Math.round(this.#options.clock.now()),
      changes,
    }
    if (!(await this.#putSurely(row, end))) return false
    this.#options.applied(row, this.#replica.apply(row, this.#options.clock.monotonic()))
    return true
  }

  /** Puts a row and finds out what became of it where the answer was lost. */
  async #putSurely(row: LogRow, end: number): Promise<boolean> {
    const { table, clock } = this.#options
    for (let tries = 1; ; tries++) {
      try {
        if (await table.putOnce(logItem(row), slotFree(row))) return true
        if (tries === 1) return false
      } catch (error) {
        if (clock.monotonic() > end || (MeshError.is(error) && error.code === "invalid_config")) throw error
        await sleep(clock, Math.min(50 * 2 ** tries, 500))
        continue
      }
      // An earlier try may have arrived after all.
      const slot = slotKey(row.sequence, row.slots)
      const [standing] = await table.range(ownService, slot, slot)
      return standing !== undefined && readLogRow(table.name, standing).nonce === row.nonce
    }
  }
}
