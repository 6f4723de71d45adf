import { type InstanceKey, type InstanceRecord, keyText } from "@meshwork/contract"
import type { Cause, OpResult, StorageChange, StorageOp, StorageProblem, StoredRecord, StoredState } from "@meshwork/registry-core"
import { type LoggedChange, type LogRow, revisionsOf } from "./log-row.ts"

/** A record as this server knows it. */
export interface Held extends StoredRecord {
  /** Range key of lyft/discovery's own row, while the record stands nowhere else. */
  legacy?: string
  /** Monotonic time at which this server learned of it. */
  learnedAt: number
}

/** Why a record went. */
export interface Removal {
  key: InstanceKey
  revision: number
  cause: Cause
  learnedAt: number
  /** Unix ms at whoever made it. */
  at: number
}

/** Where the log has been read to. */
export interface Position {
  generation: number
  epoch: string
  sequence: number
  revision: number
  slots: number
  nonce: string
}

const removalsKeptMs = 600_000
const maxRemovals = 5000

/** The whole data set as the log up to one row makes it. */
export class Replica {
  readonly position: Position
  readonly records: Map<string, Held> = new Map()
  readonly problems: StorageProblem[] = []
  readonly removals: Map<string, Removal> = new Map()

  constructor(position: Position) {
    this.position = position
  }

  /** Takes in the next row of the log and says what it changed. */
  apply(row: LogRow, now: number): StorageChange[] {
    const revisions = revisionsOf(row)
    const { changes: _changes, at, ...position } = row
    Object.assign(this.position, position)
    this.#forgetRemovals(now)
    return row.changes.map((change, index) => this.change(change, revisions[index] ?? row.revision, now, at))
  }

  /** @param at Unix ms of its row */
  change(change: LoggedChange, revision: number, now: number, at: number): StorageChange {
    const { cause } = change
    if ("put" in change) {
      const { put: record, legacy, renewedAt } = change
      const text = keyText(record)
      const stored: StoredRecord = { record, version: String(revision), revision, ...(renewedAt === undefined ? {} : { renewedAt }) }
      this.records.set(text, { ...stored, learnedAt: now, ...(legacy === undefined ? {} : { legacy }) })
      this.removals.delete(text)
      return { op: "put", stored, cause }
    }
    const key = { service: change.delete[0], id: change.delete[1] }
    this.records.delete(keyText(key))
    this.removals.set(keyText(key), { key, revision, cause, learnedAt: now, at })
    return { op: "delete", key, revision, cause }
  }

  state(): StoredState {
    const { epoch, revision } = this.position
    return {
      epoch,
      revision,
      records: [...this.records.values()].map(storedOf),
      problems: [...this.problems],
      lastAliveAt: null,
      removed: [...this.removals.values()].map(({ key, revision: at, cause }) => ({ key, revision: at, cause })),
    }
  }

  #forgetRemovals(now: number): void {
    for (const [text, { learnedAt }] of this.removals) {
      if (now - learnedAt < removalsKeptMs && this.removals.size <= maxRemovals) break
      this.removals.delete(text)
    }
  }
}

/** A held record as the port hands it out. */
export function storedOf({ record, version, revision, renewedAt }: Held): StoredRecord {
  return { record, version, revision, ...(renewedAt === undefined ? {} : { renewedAt }) }
}

/** What a row of the log would change, and what each op gets if it becomes one. */
export interface Draft {
  changes: LoggedChange[]
  results: OpResult[]
}

/** Judges as many of the ops, in order, as have room in one row. */
export function draft(replica: Replica, ops: readonly StorageOp[], maxBytes: number): Draft {
  const changes: LoggedChange[] = []
  const results: OpResult[] = []
  const changed = new Map<string, { version: string; stored: StoredRecord | undefined; legacy?: string }>()
  let bytes = 0
  for (const op of ops) {
    const text = keyText(op.op === "put" ? op.record : op.key)
    const held = replica.records.get(text)
    const known = changed.get(text)
    const current = known ? known.stored : held
    if (op.op === "touch" || (current?.version ?? null) !== op.ifVersion) {
      const conflict = current !== undefined && op.op !== "touch"
      results.push(conflict ? { ok: false, why: "conflict", current: { ...current } } : { ok: false, why: "missing", current: null })
      continue
    }
    const change = changeOf(op, held?.legacy)
    bytes += Buffer.byteLength(JSON.stringify(change))
    if (bytes > maxBytes && changes.length > 0) break
    changes.push(change)
    const revision = replica.position.revision + changes.length
    const version = String(revision)
    changed.set(text, { version, stored: op.op === "put" ? { record: op.record, version, revision } : undefined })
    results.push({ ok: true, version, revision })
  }
  return { changes, results }
}

function changeOf(op: Exclude<StorageOp, { op: "touch" }>, drop: string | undefined): LoggedChange {
  const dropped = drop === undefined ? {} : { drop }
  if (op.op === "put") return { put: op.record satisfies InstanceRecord, cause: op.cause, ...dropped }
  return { delete: [op.key.service, op.key.id], cause: op.cause, ...dropped }
}
