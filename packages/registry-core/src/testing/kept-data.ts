import { randomUUID } from "node:crypto"
import { type Clock, MeshError, systemClock } from "@meshwork/contract"
import { RecordMap } from "../memory/record-map.ts"
import type { OpResult, RegistryStorage, StorageOp, StoredRecord, StoredState } from "../storage-port.ts"

/** A data set in memory that outlives the storages opened on it, as a durable one does; tests read what was written and make it fail. */
export class KeptData {
  readonly #records = new RecordMap()
  readonly #epoch = randomUUID()
  readonly #clock: Clock
  /** Everything that was ever committed. */
  readonly ops: StorageOp[] = []
  /** Unix ms of the last commit. */
  lastAliveAt: number | null = null
  /** What the next commits reject with. */
  fault: Error | undefined

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /** Counter at the last put or delete. */
  get revision(): number {
    return this.#records.revision
  }

  /** Copies of all records. */
  records(): StoredRecord[] {
    return this.#records.records()
  }

  /** A storage over this data. */
  storage(): RegistryStorage {
    let open = false
    return {
      name: "kept",
      open: () => {
        open = true
        return Promise.resolve(this.#state())
      },
      commit: (ops) => (open ? this.#commit(ops) : Promise.reject(new MeshError("storage_unavailable", "the storage is closed"))),
      close: () => {
        open = false
        return Promise.resolve()
      },
    }
  }

  #state(): StoredState {
    return { epoch: this.#epoch, revision: this.revision, records: this.records(), problems: [], lastAliveAt: this.lastAliveAt }
  }

  #commit(ops: readonly StorageOp[]): Promise<OpResult[]> {
    if (this.fault) return Promise.reject(this.fault)
    this.lastAliveAt = this.#clock.now()
    this.ops.push(...ops)
    return Promise.resolve(ops.map((op) => this.#records.apply(op)))
  }
}
