import { randomUUID } from "node:crypto"
import { MeshError } from "@meshwork/contract"
import type { OpResult, RegistryStorage, StorageOp, StoredState } from "../storage-port.ts"
import { RecordMap } from "./record-map.ts"

/** A storage that lives as long as its process: every opening is a new epoch without records. */
export function createMemoryStorage(): RegistryStorage {
  return new MemoryStorage()
}

class MemoryStorage implements RegistryStorage {
  readonly name = "memory"
  #records: RecordMap | undefined

  open(): Promise<StoredState> {
    this.#records = new RecordMap()
    return Promise.resolve({ epoch: randomUUID(), revision: 0, records: [], problems: [], lastAliveAt: null })
  }

  commit(ops: readonly StorageOp[]): Promise<OpResult[]> {
    const records = this.#records
    if (records === undefined) return Promise.reject(new MeshError("storage_unavailable", "the memory storage is closed"))
    return Promise.resolve(ops.map((op) => records.apply(op)))
  }

  close(): Promise<void> {
    this.#records = undefined
    return Promise.resolve()
  }
}
