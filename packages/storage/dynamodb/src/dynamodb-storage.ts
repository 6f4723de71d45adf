import { type Clock, MeshError, type Random, sleep, systemClock, systemRandom } from "@meshwork/contract"
import type { OpResult, ServerInfo, SharedStorage, StorageNews, StorageOp, StoredState } from "@meshwork/registry-core"
import { createTable, isMissingTable } from "./create-table.ts"
import { NewsQueue } from "./news-queue.ts"
import { ServerList } from "./server-list.ts"
import { SharedTable } from "./shared-table.ts"
import { Table } from "./table.ts"

export interface DynamodbStorageOptions {
  /** Name of the table. Its hash key is `service`, its range key `ip_address`, both text. */
  table: string
  /** Default what the AWS SDK finds in the environment or in a profile; us-east-1 with an endpoint that is not Amazon's. */
  region?: string
  /** Address of a DynamoDB other than the region's. One that is not Amazon's gets credentials that stand for none. */
  endpoint?: string
  /** Makes the table with lyft/discovery's index when it is not there. Default false. */
  create?: boolean
  /** Lease of rows that lyft/discovery itself wrote. Default 600. */
  legacyTtlSeconds?: number
  /** Rows of the log of a new table, from 16 to 100,000. Default 1024. */
  logRows?: number
  /** Told what an operator should know and no call can say. Default: nobody. */
  notice?: (message: string) => void
  /** Default the machine's. */
  clock?: Clock
  /** Default the machine's. */
  random?: Random
}

const pollEveryMs = 1000
const censusEveryMs = 60_000
const closeMs = 2000

/**
 * The storage in a DynamoDB table that several servers share, in the layout of lyft/discovery. All of them follow one log in the table; its other
 * rows come after it. `open` rejects with `invalid_config` where the table is missing or cannot be used, `storage_unavailable` where it does not answer.
 */
export function createDynamodbStorage(options: DynamodbStorageOptions): SharedStorage {
  return new DynamodbStorage(options)
}

class DynamodbStorage implements SharedStorage {
  readonly name = "dynamodb"
  readonly #options: DynamodbStorageOptions
  readonly #clock: Clock
  readonly #table: Table
  readonly #news = new NewsQueue()
  readonly #stop = new AbortController()
  readonly #loops = new Set<Promise<void>>()
  #shared: SharedTable | undefined
  #opening: Promise<StoredState> | undefined
  #closing: Promise<void> | undefined

  constructor(options: DynamodbStorageOptions) {
    const { clock = systemClock, random = systemRandom } = options
    this.#options = options
    this.#clock = clock
    this.#table = new Table({ ...options, clock, random })
  }

  async open(): Promise<StoredState> {
    if (this.#opening || this.#closing) throw new MeshError("internal", `the storage of ${this.#table.name} was opened before; make another one`)
    this.#opening = this.#open()
    try {
      return await this.#opening
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async #open(): Promise<StoredState> {
    const { create = false, legacyTtlSeconds = 600, logRows = 1024, notice = () => {}, random = systemRandom } = this.#options
    const shared = new SharedTable({ table: this.#table, clock: this.#clock, random, legacyTtlSeconds, slots: logRows, notice, news: this.#news })
    try {
      await shared.open()
    } catch (error) {
      if (!isMissingTable(error)) throw error
      if (!create) throw new MeshError("invalid_config", `${MeshError.from(error).message}; create it, or let it be created with create=true`)
      await createTable(this.#table, this.#clock)
      await shared.open()
    }
    this.#shared = shared
    this.#run(() => this.#census(shared))
    return shared.begin()
  }

  commit(ops: readonly StorageOp[]): Promise<OpResult[]> {
    if (this.#shared === undefined || this.#closing) {
      return Promise.reject(new MeshError("storage_unavailable", `the storage of the DynamoDB table ${this.#table.name} is not open`))
    }
    return this.#shared.commit(ops)
  }

  async *changes(signal: AbortSignal): AsyncGenerator<StorageNews, void> {
    const shared = this.#shared
    if (shared === undefined) return
    const over = AbortSignal.any([signal, this.#stop.signal])
    this.#run(() => this.#poll(shared, over))
    while (!over.aborted) {
      const news = this.#news.take()
      if (news === "reset") yield { reset: shared.state() }
      else if (news !== undefined) yield news
      else await this.#news.next(over)
    }
  }

  async *servers(self: ServerInfo, signal: AbortSignal): AsyncGenerator<ServerInfo[], void> {
    const over = AbortSignal.any([signal, this.#stop.signal])
    const gone = Promise.withResolvers<void>()
    this.#run(() => gone.promise)
    try {
      yield* new ServerList(this.#table, this.#clock, self).follow(over)
    } finally {
      gone.resolve()
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stop.abort()
    await this.#opening?.catch(() => {})
    await Promise.race([Promise.all([this.#shared?.drained(), ...this.#loops]), sleep(this.#clock, closeMs)])
    this.#shared?.stop()
    this.#table.close()
  }

  #run(loop: () => Promise<void>): void {
    const running = loop().finally(() => this.#loops.delete(running))
    this.#loops.add(running)
  }

  async #poll(shared: SharedTable, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      // A table that does not answer is told by the confirmations that fail to come.
      await shared.poll().catch(() => {})
      await sleep(this.#clock, pollEveryMs, over)
    }
  }

  async #census(shared: SharedTable): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await sleep(this.#clock, censusEveryMs, signal)
      if (!signal.aborted) await shared.census(signal).catch((error: unknown) => this.#options.notice?.(MeshError.from(error).message))
    }
  }
}
