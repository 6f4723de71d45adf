import { Worker } from "node:worker_threads"
import { type Clock, MeshError, systemClock } from "@meshwork/contract"
import type { OpResult, RegistryStorage, StorageOp, StoredState } from "@meshwork/registry-core"
import type { WorkerReply, WorkerRequest } from "./messages.ts"

export interface SqliteStorageOptions {
  /** File of the data set; its folder is created. */
  path: string
  /** Time of signs of life and tombstones. Default the machine's. */
  clock?: Clock
}

/**
 * The embedded storage: one file, one process, in a worker thread. WAL with synchronous=FULL, so what was acknowledged survives a loss of power.
 * `open` rejects with `invalid_config` when another process has the file, when it is no database, or when a newer version wrote it.
 */
export function createSqliteStorage(options: SqliteStorageOptions): RegistryStorage {
  return new SqliteStorage(options.path, options.clock ?? systemClock)
}

const restartEveryMs = 1000

type WithoutCall<T> = T extends unknown ? Omit<T, "call"> : never
type Answer = Exclude<WorkerReply, { fault: unknown }>

class SqliteStorage implements RegistryStorage {
  readonly name = "sqlite"
  readonly #path: string
  readonly #clock: Clock
  readonly #calls = new Map<number, { resolve: (answer: Answer) => void; reject: (error: MeshError) => void }>()
  #worker: Worker | undefined
  /** Resolves when the last thread has ended, and with it its hold on the file. */
  #ended: Promise<void> = Promise.resolve()
  #reviving: Promise<void> | undefined
  #revivedAt = Number.NEGATIVE_INFINITY
  /** Where the data set stood when it was last heard of. */
  #known: { epoch: string; revision: number } | undefined
  #next = 0
  #closing: Promise<void> | undefined

  constructor(path: string, clock: Clock) {
    this.#path = path
    this.#clock = clock
  }

  async open(): Promise<StoredState> {
    if (this.#worker !== undefined || this.#closing) throw new MeshError("internal", `${this.#path} was opened before; make another storage`)
    const worker = this.#start()
    try {
      const answer = await this.#ask({ ask: "open", path: this.#path })
      worker.unref()
      if ("opened" in answer) {
        this.#known = { epoch: answer.opened.epoch, revision: answer.opened.revision }
        return answer.opened
      }
      throw new MeshError("internal", "the storage thread gave an answer of another kind")
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async commit(ops: readonly StorageOp[]): Promise<OpResult[]> {
    if (this.#closing) throw new MeshError("storage_unavailable", `${this.#path} is closed`)
    if (this.#reviving !== undefined || (this.#worker === undefined && this.#known !== undefined)) await this.#revived()
    const answer = await this.#ask({ ask: "commit", ops, at: this.#clock.now() })
    if (!("results" in answer)) return []
    const known = this.#known
    if (known) for (const result of answer.results) if (result.ok) known.revision = Math.max(known.revision, result.revision)
    return answer.results
  }

  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  #start(): Worker {
    // Beside this module in the build and in the sources alike.
    const file = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url)
    // Options meant for the program itself, such as --input-type or --import, are not for its threads.
    const worker = new Worker(file, { execArgv: ["--disable-warning=ExperimentalWarning"] })
    this.#worker = worker
    worker.on("message", (reply: WorkerReply) => this.#settle(reply))
    worker.on("error", (error) =>
      this.#fail(worker, new MeshError("storage_unavailable", `the thread of ${this.#path} failed: ${error.message}`, { cause: error })),
    )
    this.#ended = new Promise((resolve) =>
      worker.on("exit", () => {
        this.#fail(worker, new MeshError("storage_unavailable", `the thread of ${this.#path} has ended`))
        resolve()
      }),
    )
    return worker
  }

  /** Starts another thread in place of one that ended; at most one a second. */
  #revived(): Promise<void> {
    this.#reviving ??= this.#revive().finally(() => (this.#reviving = undefined))
    return this.#reviving
  }

  async #revive(): Promise<void> {
    await this.#ended
    if (this.#closing) throw new MeshError("storage_unavailable", `${this.#path} is closed`)
    const now = this.#clock.monotonic()
    if (now - this.#revivedAt < restartEveryMs) {
      throw new MeshError("storage_unavailable", `the thread of ${this.#path} has ended, and is started again in a moment`)
    }
    this.#revivedAt = now
    const worker = this.#start()
    const known = this.#known
    try {
      const answer = await this.#ask({ ask: "reopen", path: this.#path })
      const found = "reopened" in answer ? answer.reopened : undefined
      if (found?.epoch !== known?.epoch || (found?.revision ?? -1) < (known?.revision ?? 0)) {
        throw new MeshError("storage_unavailable", `${this.#path} is not what it was when its thread ended; start this server again`)
      }
    } catch (error) {
      this.#worker = undefined
      await worker.terminate()
      throw error
    }
  }

  async #end(): Promise<void> {
    await this.#reviving?.catch(() => {})
    const worker = this.#worker
    if (worker === undefined) return this.#ended
    await this.#ask({ ask: "close" }).catch(() => {})
    this.#worker = undefined
    await worker.terminate()
  }

  #ask(request: WithoutCall<WorkerRequest>): Promise<Answer> {
    const worker = this.#worker
    if (worker === undefined) return Promise.reject(new MeshError("storage_unavailable", `${this.#path} is not open`))
    const call = this.#next++
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject })
      worker.ref()
      worker.postMessage({ call, ...request })
    })
  }

  #settle(reply: WorkerReply): void {
    const call = this.#calls.get(reply.call)
    this.#calls.delete(reply.call)
    if (this.#calls.size === 0) this.#worker?.unref()
    if ("fault" in reply) call?.reject(new MeshError(reply.fault.kind === "config" ? "invalid_config" : "storage_unavailable", reply.fault.message))
    else call?.resolve(reply)
  }

  #fail(worker: Worker, error: MeshError): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    for (const call of this.#calls.values()) call.reject(error)
    this.#calls.clear()
  }
}
