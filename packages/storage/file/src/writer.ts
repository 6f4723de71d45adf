import { type Clock, keyText, MeshError } from "@meshwork/contract"
import type { OpResult, StorageOp } from "@meshwork/registry-core"
import { Compaction } from "./compaction.ts"
import { diskFault } from "./disk-fault.ts"
import { type DurableFile, syncFolderOf } from "./durable-file.ts"
import { Judge, type Verdict } from "./judge.ts"
import { decodeLine } from "./log-line.ts"
import { readRecord, stored } from "./read-log.ts"
import type { RecordIndex, RecordPlace } from "./record-index.ts"

const maxGrouped = 5000
/** Signs of life and renewals within this time share one write. */
const aliveEveryMs = 1000
const compactAgainMs = 60_000

export interface WriterOptions {
  path: string
  file: DurableFile
  index: RecordIndex
  epoch: string
  revision: number
  alive: number | null
  garbageBytes: number
  notice: (message: string) => void
  clock: Clock
}

interface Commit {
  ops: readonly StorageOp[]
  resolve: (results: OpResult[]) => void
  reject: (error: MeshError) => void
}

/** Writes commits one group after the other: what arrives while one is under way makes the next one. */
export class Writer {
  readonly #options: WriterOptions
  #file: DurableFile
  #revision: number
  #alive: number | null
  #aliveAt = Number.NEGATIVE_INFINITY
  #waiting: Commit[] = []
  #scheduled = false
  #last: Promise<void> = Promise.resolve()
  readonly #renewed = new Map<string, RecordPlace>()
  #folderUnsynced = false
  readonly #stop = new AbortController()
  #compacting: Promise<void> | undefined
  #compactAfter = Number.NEGATIVE_INFINITY

  constructor(options: WriterOptions) {
    this.#options = options
    this.#file = options.file
    this.#revision = options.revision
    this.#alive = options.alive
    this.#considerCompaction()
  }

  commit(ops: readonly StorageOp[]): Promise<OpResult[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ops, resolve, reject })
      this.#schedule()
    })
  }

  /** Waits for what is under way and writes the renewals that were held back. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#compacting
    await this.#last
    this.#aliveAt = Number.NEGATIVE_INFINITY
    await this.#exclusive(() => this.#write([], true)).catch(() => {})
    await this.#file.close()
  }

  /** Runs `work` when everything handed over before is done, and nothing else beside it. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.then(
      () => {},
      () => {},
    )
    return done
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    void this.#exclusive(() => this.#group())
  }

  async #group(): Promise<void> {
    this.#scheduled = false
    let ops = 0
    const end = this.#waiting.findIndex((commit) => (ops += commit.ops.length) >= maxGrouped)
    const group = this.#waiting.splice(0, end === -1 ? this.#waiting.length : end + 1)
    if (this.#waiting.length > 0) this.#schedule()
    try {
      const results = await this.#write(
        group.map((commit) => commit.ops),
        group.some((commit) => commit.ops.length === 0),
      )
      for (const [index, commit] of group.entries()) commit.resolve(results[index] ?? [])
      this.#considerCompaction()
    } catch (error) {
      this.#aliveAt = Number.NEGATIVE_INFINITY
      const { message } = diskFault(this.#options.path, error)
      for (const commit of group) commit.reject(new MeshError("storage_unavailable", message, { cause: error }))
    }
  }

  async #write(batches: readonly (readonly StorageOp[])[], sign: boolean): Promise<OpResult[][]> {
    const { path, index, clock } = this.#options
    await this.#file.verify(path)
    if (this.#folderUnsynced) await syncFolderOf(path)
    this.#folderUnsynced = false
    const judge = new Judge(index, this.#file.length, this.#revision)
    const verdicts = batches.map((ops) => ops.map((op) => judge.judge(op, this.#renewed)))
    const due = clock.monotonic() - this.#aliveAt >= aliveEveryMs
    if (!judge.empty || (due && (sign || this.#renewed.size > 0))) await this.#append(judge)
    return Promise.all(verdicts.map((group) => Promise.all(group.map((verdict) => this.#result(verdict)))))
  }

  async #append(judge: Judge): Promise<void> {
    const { clock } = this.#options
    const alive = Math.round(clock.now())
    const renewed = [...this.#renewed.values()].map(({ key, renewedAt = alive }) => [key.service, key.id, renewedAt] as const)
    judge.append({ alive, renewed })
    try {
      await this.#file.append(judge.bytes())
    } catch (error) {
      judge.takeBack()
      throw error
    }
    judge.accept()
    this.#renewed.clear()
    this.#revision = judge.revision
    this.#alive = alive
    this.#aliveAt = clock.monotonic()
  }

  async #result(verdict: Verdict): Promise<OpResult> {
    if (!("at" in verdict)) return verdict
    const { at } = verdict
    const line = await this.#file.read(at.offset, at.length)
    const entry = decodeLine(line.subarray(0, -1))
    const read = entry && "put" in entry ? readRecord(entry.record, keyText(at.key)) : undefined
    return { ok: false, why: "conflict", current: read && "record" in read ? stored(read.record, at) : null }
  }

  #considerCompaction(): void {
    const { index, garbageBytes, clock, path, epoch, notice } = this.#options
    const garbage = this.#file.length - index.liveBytes
    if (this.#compacting || garbage <= Math.max(garbageBytes, index.liveBytes) || clock.monotonic() < this.#compactAfter) return
    const old = this.#file
    const adopt = (file: DurableFile) => {
      this.#file = file
      this.#folderUnsynced = true
    }
    const beginning = { epoch, revision: this.#revision, alive: this.#alive }
    this.#compacting = new Compaction(path, old, index, this.#stop.signal)
      .run(beginning, clock.now(), (work) => this.#exclusive(work), adopt)
      .then(
        () => old.close(),
        (error: unknown) => {
          this.#compactAfter = clock.monotonic() + compactAgainMs
          if (!this.#stop.signal.aborted) notice(`the file was not compacted, it goes on as it is: ${diskFault(path, error).message}`)
        },
      )
      .finally(() => {
        this.#compacting = undefined
      })
  }
}
