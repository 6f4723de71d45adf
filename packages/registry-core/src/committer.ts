import { MeshError } from "@meshwork/contract"
import type { OpResult, RegistryStorage, StorageOp } from "./storage-port.ts"

const maxBatch = 1000
const maxQueued = 50_000

interface Queued {
  op: StorageOp
  resolve: (result: OpResult) => void
  reject: (error: MeshError) => void
}

/** Hands ops to a storage in order, one batch under way at a time; whatever arrives meanwhile makes the next batch. */
export class Committer {
  readonly #storage: RegistryStorage
  readonly #applied: (op: StorageOp, result: OpResult) => void
  readonly #availability: (fault: MeshError | undefined) => void
  #queue: Queued[] = []
  #running: Promise<void> | undefined
  /** The last commit's fault; absent while the storage answers. */
  fault: MeshError | undefined

  /**
   * @param applied called for every result, in commit order, before its promise resolves
   * @param availability called when the storage begins to fail, and without a fault when it answers again
   */
  constructor(storage: RegistryStorage, applied: (op: StorageOp, result: OpResult) => void, availability: (fault: MeshError | undefined) => void) {
    this.#storage = storage
    this.#applied = applied
    this.#availability = availability
  }

  /** Rejects with `storage_unavailable` when the op is not known to be applied. */
  commit(op: StorageOp): Promise<OpResult> {
    if (this.#queue.length >= maxQueued) {
      return Promise.reject(new MeshError("storage_unavailable", `the storage ${this.#storage.name} is ${maxQueued} writes behind`))
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ op, resolve, reject })
      this.#start()
    })
  }

  /** Tells the storage that this server lives, unless a commit does so anyway. */
  signOfLife(): void {
    if (this.#running === undefined) this.#start()
  }

  /** Resolves when everything handed over so far is done. */
  async flush(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      if (this.#queue.length > 0) this.#start()
    })
  }

  async #run(): Promise<void> {
    const batch = this.#queue.splice(0, maxBatch)
    let results: OpResult[]
    try {
      results = await this.#storage.commit(batch.map((queued) => queued.op))
    } catch (error) {
      const why = `the storage ${this.#storage.name} did not take a change: ${MeshError.from(error).message}`
      const fault = new MeshError("storage_unavailable", why, { cause: error })
      if (this.fault === undefined) this.#availability(fault)
      this.fault = fault
      for (const queued of batch) queued.reject(fault)
      return
    }
    if (this.fault !== undefined) this.#availability(undefined)
    this.fault = undefined
    for (const [index, queued] of batch.entries()) {
      const result = results[index] ?? { ok: false, why: "missing", current: null }
      this.#applied(queued.op, result)
      queued.resolve(result)
    }
  }
}
