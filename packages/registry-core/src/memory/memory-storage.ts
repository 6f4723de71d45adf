import { randomUUID } from "node:crypto"
import { type InstanceKey, keyText, MeshError } from "@meshwork/contract"
import type { OpResult, RegistryStorage, StorageOp, StoredRecord, StoredState } from "../storage-port.ts"

/** A storage that lives as long as its process: every opening is a new epoch without records. */
export function createMemoryStorage(): RegistryStorage {
  return new MemoryStorage()
}

class MemoryStorage implements RegistryStorage {
  readonly name = "memory"
  readonly #records = new Map<string, StoredRecord>()
  #revision = 0
  #open = false

  open(): Promise<StoredState> {
    this.#records.clear()
    this.#revision = 0
    this.#open = true
    return Promise.resolve({ epoch: randomUUID(), revision: 0, records: [], problems: [], lastAliveAt: null })
  }

  commit(ops: readonly StorageOp[]): Promise<OpResult[]> {
    if (!this.#open) return Promise.reject(new MeshError("storage_unavailable", "the memory storage is closed"))
    return Promise.resolve(ops.map((op) => this.#apply(op)))
  }

  close(): Promise<void> {
    this.#open = false
    this.#records.clear()
    return Promise.resolve()
  }

  #apply(op: StorageOp): OpResult {
    const key: InstanceKey = op.op === "put" ? op.record : op.key
    const text = keyText(key)
    const current = this.#records.get(text) ?? null
    if (op.op === "touch") {
      if (current === null) return { ok: false, why: "missing", current: null }
      current.renewedAt = op.renewedAt
      return { ok: true, version: current.version, revision: this.#revision }
    }
    if ((current?.version ?? null) !== op.ifVersion)
      return { ok: false, why: current === null ? "missing" : "conflict", current: current && structuredClone(current) }
    const revision = ++this.#revision
    const version = String(revision)
    if (op.op === "put") this.#records.set(text, { record: structuredClone(op.record), version, revision })
    else this.#records.delete(text)
    return { ok: true, version, revision }
  }
}
