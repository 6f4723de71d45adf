import { instanceRecordSchema } from "@meshwork/contract"
import type { OpResult, StorageOp, StorageProblem, StoredRecord, StoredState } from "@meshwork/registry-core"
import type { DatabaseSync, StatementSync } from "node:sqlite"

const tombstonesKeptMs = 600_000
const trimEveryMs = 30_000

interface Row {
  number: number
  service: string
  id: string
  version: number
  record: string
  renewed_at: number | null
}

/** The tables of one open file: reads everything once, then applies ops inside transactions. */
export class RecordTables {
  readonly #database: DatabaseSync
  readonly #find: StatementSync
  readonly #insert: StatementSync
  readonly #update: StatementSync
  readonly #remove: StatementSync
  readonly #renew: StatementSync
  readonly #forget: StatementSync
  readonly #bury: StatementSync
  readonly #trim: StatementSync
  readonly #setMeta: StatementSync
  #revision = 0
  #trimmedAt = 0

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#find = database.prepare("SELECT r.*, l.renewed_at FROM records r LEFT JOIN leases l USING (number) WHERE service = ? AND id = ?")
    this.#insert = database.prepare("INSERT INTO records (service, id, version, record, cause) VALUES (?, ?, ?, ?, ?)")
    this.#update = database.prepare("UPDATE records SET version = ?, record = ?, cause = ? WHERE number = ?")
    this.#remove = database.prepare("DELETE FROM records WHERE number = ?")
    this.#renew = database.prepare("INSERT INTO leases VALUES (?, ?) ON CONFLICT (number) DO UPDATE SET renewed_at = excluded.renewed_at")
    this.#forget = database.prepare("DELETE FROM leases WHERE number = ?")
    this.#bury = database.prepare("INSERT INTO tombstones VALUES (?, ?, ?, ?, ?)")
    this.#trim = database.prepare("DELETE FROM tombstones WHERE at < ?")
    this.#setMeta = database.prepare("INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
  }

  /** Where the data set stands. */
  resume(): { epoch: string; revision: number } {
    const meta = this.#meta()
    this.#revision = Number(meta.get("revision"))
    return { epoch: String(meta.get("epoch")), revision: this.#revision }
  }

  /** Everything. */
  load(): StoredState {
    const meta = this.#meta()
    this.#revision = Number(meta.get("revision"))
    const records: StoredRecord[] = []
    const problems: StorageProblem[] = []
    const rows = this.#database.prepare("SELECT r.*, l.renewed_at FROM records r LEFT JOIN leases l USING (number)").iterate() as Iterable<Row>
    for (const row of rows) {
      const stored = readRow(row)
      if ("message" in stored) problems.push(stored)
      else records.push(stored)
    }
    const lastAliveAt = meta.get("last_alive_at")
    return {
      epoch: String(meta.get("epoch")),
      revision: this.#revision,
      records,
      problems,
      lastAliveAt: lastAliveAt === undefined ? null : Number(lastAliveAt),
    }
  }

  #meta(): Map<string, string | number> {
    const rows = this.#database.prepare("SELECT name, value FROM meta").all() as { name: string; value: string | number }[]
    return new Map(rows.map(({ name, value }) => [name, value]))
  }

  /** Applies several commits in one transaction; one list of results each. */
  commit(batches: readonly (readonly StorageOp[])[], now: number): OpResult[][] {
    const before = this.#revision
    this.#database.exec("BEGIN IMMEDIATE")
    try {
      const results = batches.map((ops) => ops.map((op) => this.#apply(op, now)))
      if (this.#revision !== before) this.#setMeta.run("revision", this.#revision)
      this.#setMeta.run("last_alive_at", Math.round(now))
      const trim = Math.abs(now - this.#trimmedAt) > trimEveryMs
      if (trim) this.#trim.run(now - tombstonesKeptMs)
      this.#database.exec("COMMIT")
      if (trim) this.#trimmedAt = now
      return results
    } catch (error) {
      this.#revision = before
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK")
      throw error
    }
  }

  #apply(op: StorageOp, now: number): OpResult {
    const key = op.op === "put" ? op.record : op.key
    const row = this.#find.get(key.service, key.id) as Row | undefined
    if (op.op === "touch") {
      if (row === undefined) return { ok: false, why: "missing", current: null }
      this.#renew.run(row.number, Math.round(op.renewedAt))
      return { ok: true, version: String(row.version), revision: this.#revision }
    }
    // Whoever registers over a record that cannot be read heals it: for the registry it does not exist.
    const heals = op.op === "put" && op.ifVersion === null && row !== undefined && "message" in readRow(row)
    if (!heals && (row === undefined ? null : String(row.version)) !== op.ifVersion) return refusal(row)
    const revision = ++this.#revision
    const cause = JSON.stringify(op.cause)
    if (op.op === "delete" && row !== undefined) {
      this.#remove.run(row.number)
      this.#forget.run(row.number)
      this.#bury.run(key.service, key.id, revision, cause, Math.round(now))
    } else if (op.op === "put") {
      const text = JSON.stringify(op.record)
      if (row === undefined) this.#insert.run(key.service, key.id, revision, text, cause)
      else this.#update.run(revision, text, cause, row.number)
    }
    return { ok: true, version: String(revision), revision }
  }
}

function refusal(row: Row | undefined): OpResult {
  if (row === undefined) return { ok: false, why: "missing", current: null }
  const stored = readRow(row)
  return { ok: false, why: "conflict", current: "message" in stored ? null : stored }
}

function readRow(row: Row): StoredRecord | StorageProblem {
  const key = `${row.service}/${row.id}`
  let value: unknown
  try {
    value = JSON.parse(row.record)
  } catch (error) {
    return { key, message: `not JSON: ${error instanceof Error ? error.message : String(error)}` }
  }
  const parsed = instanceRecordSchema.safeParse(value)
  if (!parsed.success) return { key, message: parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ") }
  if (parsed.data.service !== row.service || parsed.data.id !== row.id) return { key, message: "the record names another instance than its key" }
  const stored: StoredRecord = { record: parsed.data, version: String(row.version), revision: row.version }
  if (row.renewed_at !== null) stored.renewedAt = row.renewed_at
  return stored
}
