import { type Clock, MeshError } from "@meshwork/contract"
import type { OpResult, RegistryStorage, StorageOp } from "./storage-port.ts"

const maxBatch = 1000
const maxQueued = 50_000
const patienceMs = 5000

interface Queued {
  op: StorageOp
  stands: (() => boolean) | undefined
  resolve: (result: OpResult | "withdrawn") => void
  reject: (error: MeshError) => void
}

/** Hands ops to a storage in order, one batch under way at a time; whatever arrives meanwhile makes the next batch. */
export class Committer {
  readonly #storage: RegistryStorage
  readonly #clock: Clock
  readonly #applied: (op: StorageOp, result: OpResult) => void
  readonly #availability: (fault: MeshError | undefined) => void
  #queue: Queued[] = []
  #running: Promise<void> | undefined
  /** Monotonic time at which the batch under way was handed over. */
  #handedAt = 0
  #fault: MeshError | undefined

  /**
   * @param applied called for every result, in commit order, before its promise resolves
   * @param availability called when the storage begins to fail, and without a fault when it answers again
   */
  constructor(
    storage: RegistryStorage,
    clock: Clock,
    applied: (op: StorageOp, result: OpResult) => void,
    availability: (fault: MeshError | undefined) => void,
  ) {
    this.#storage = storage
    this.#clock = clock
    this.#applied = applied
    this.#availability = availability
  }

  /** The last commit's fault, or that one has been under way for 5 s; absent while the storage answers. */
  get fault(): MeshError | undefined {
    const silence = this.#running === undefined ? 0 : this.#clock.monotonic() - this.#handedAt
    if (silence <= patienceMs) return this.#fault
    return new MeshError("storage_unavailable", `the storage ${this.#storage.name} has not answered for ${Math.round(silence / 1000)} s`)
  }

  /**
   * Rejects with `storage_unavailable` when the op is not known to be applied; at once while the storage does not answer.
   * @param stands asked when the op's turn has come, which may be seconds later: an op that no longer stands is withdrawn
   */
  commit(op: StorageOp, stands?: () => boolean): Promise<OpResult | "withdrawn"> {
    const fault = this.#running === undefined ? undefined : this.fault
    if (fault !== undefined && fault !== this.#fault) return Promise.reject(fault)
    if (this.#queue.length >= maxQueued) {
      return Promise.reject(new MeshError("storage_unavailable", `the storage ${this.#storage.name} is ${maxQueued} writes behind`))
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ op, stands, resolve, reject })
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
    const due = this.#queue.splice(0, maxBatch)
    const batch = due.filter(({ stands, resolve }) => {
      if (stands === undefined || stands()) return true
      resolve("withdrawn")
      return false
    })
    // Nothing was to be stored after all, which says nothing about the storage.
    if (due.length > 0 && batch.length === 0) return
    let results: OpResult[]
    this.#handedAt = this.#clock.monotonic()
    try {
      results = await this.#storage.commit(batch.map((queued) => queued.op))
    } catch (error) {
      const why = `the storage ${this.#storage.name} did not take a change: ${MeshError.from(error).message}`
      const fault = new MeshError("storage_unavailable", why, { cause: error })
      if (this.#fault === undefined) this.#availability(fault)
      this.#fault = fault
      for (const queued of batch) queued.reject(fault)
      return
    }
    if (this.#fault !== undefined) this.#availability(undefined)
    this.#fault = undefined
    for (const [index, queued] of batch.entries()) {
      const result = results[index] ?? { ok: false, why: "missing", current: null }
      this.#applied(queued.op, result)
      queued.resolve(result)
    }
  }
}
