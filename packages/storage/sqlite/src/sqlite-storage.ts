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

type WithoutCall<T> = T extends unknown ? Omit<T, "call"> : never
type Answer = Exclude<WorkerReply, { fault: unknown }>

class SqliteStorage implements RegistryStorage {
  readonly name = "sqlite"
  readonly #path: string
  readonly #clock: Clock
  readonly #calls = new Map<number, { resolve: (answer: Answer) => void; reject: (error: MeshError) => void }>()
  #worker: Worker | undefined
  #next = 0
  #closing: Promise<void> | undefined

  constructor(path: string, clock: Clock) {
    this.#path = path
    this.#clock = clock
  }

  async open(): Promise<StoredState> {
    if (this.#worker !== undefined || this.#closing) throw new MeshError("internal", `${this.#path} was opened before; make another storage`)
    // Beside this module in the build and in the sources alike.
    const file = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url)
    // Options meant for the program itself, such as --input-type or --import, are not for its threads.
    const worker = new Worker(file, { execArgv: ["--disable-warning=ExperimentalWarning"] })
    this.#worker = worker
    worker.on("message", (reply: WorkerReply) => this.#settle(reply))
    worker.on("error", (error) =>
      this.#fail(new MeshError("storage_unavailable", `the thread of ${this.#path} failed: ${error.message}`, { cause: error })),
    )
    worker.on("exit", () => this.#fail(new MeshError("storage_unavailable", `the thread of ${this.#path} has ended`)))
    try {
      const answer = await this.#ask({ ask: "open", path: this.#path })
      worker.unref()
      if ("opened" in answer) return answer.opened
      throw new MeshError("internal", "the storage thread gave an answer of another kind")
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async commit(ops: readonly StorageOp[]): Promise<OpResult[]> {
    if (this.#closing) throw new MeshError("storage_unavailable", `${this.#path} is closed`)
    const answer = await this.#ask({ ask: "commit", ops, at: this.#clock.now() })
    return "results" in answer ? answer.results : []
  }

  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  async #end(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) return
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

  #fail(error: MeshError): void {
    this.#worker = undefined
    for (const call of this.#calls.values()) call.reject(error)
    this.#calls.clear()
  }
}
