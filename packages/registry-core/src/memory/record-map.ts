import { keyText } from "@meshwork/contract"
import type { OpResult, StorageOp, StoredRecord } from "../storage-port.ts"

/** Records in a map, changed by the rules of the storage port. */
export class RecordMap {
  readonly #records = new Map<string, StoredRecord>()
  #revision = 0

  get revision(): number {
    return this.#revision
  }

  /** Copies of all records. */
  records(): StoredRecord[] {
    return [...this.#records.values()].map((stored) => structuredClone(stored))
  }

  apply(op: StorageOp): OpResult {
    const text = keyText(op.op === "put" ? op.record : op.key)
    const current = this.#records.get(text)
    if (op.op === "touch") {
      if (current === undefined) return { ok: false, why: "missing", current: null }
      current.renewedAt = op.renewedAt
      return { ok: true, version: current.version, revision: this.#revision }
    }
    if ((current?.version ?? null) !== op.ifVersion) {
      return current === undefined ? { ok: false, why: "missing", current: null } : { ok: false, why: "conflict", current: structuredClone(current) }
    }
    const revision = ++this.#revision
    const version = String(revision)
    if (op.op === "delete") this.#records.delete(text)
    else {
      const renewed = current?.renewedAt === undefined ? {} : { renewedAt: current.renewedAt }
      this.#records.set(text, { record: structuredClone(op.record), version, revision, ...renewed })
    }
    return { ok: true, version, revision }
  }
}
