import { randomUUID } from "node:crypto"
import { type Clock, type InstanceKey, type InstanceRecord, keyText, MeshError, sleep, systemClock } from "@meshwork/contract"
import { RecordMap } from "../memory/record-map.ts"
import type { Cause, OpResult, ServerInfo, SharedStorage, StorageChange, StorageNews, StorageOp, StoredRecord, StoredState } from "../storage-port.ts"

const confirmMs = 1000
const callLimitMs = 3000
const resendMs = 250
const announcedMs = 10_000
const tombstonesKept = 1000

/** A link of one server to the data, which a test can cut. */
export interface SharedLink extends SharedStorage {
  /** While true nothing gets through: commits fail after 3 s, changes wait, and the announcement runs out after 10 s. */
  cut: boolean
  /** While true commits are applied, and fail as if the answer was lost. */
  deaf: boolean
  /** While true nothing moves either way, as for a process that is stopped; what was on its way arrives afterwards. */
  paused: boolean
  /** How long a commit is on its way before it is applied, ms. */
  lagMs: number
}

/** A data set in memory that several servers use at once, on links that a test can cut; it can be compacted, emptied and restored. */
export class SharedData {
  readonly #clock: Clock
  #records = new RecordMap()
  #epoch: string = randomUUID()
  /** Changes since the last compaction, oldest first. */
  #log: StorageChange[] = []
  #compacted = 0
  #removed: { key: InstanceKey; revision: number; cause: Cause }[] = []
  readonly #announced = new Map<string, { info: ServerInfo; heardAt: number }>()
  readonly #waiting = new Set<() => void>()
  /** Everything that was ever applied. */
  readonly applied: StorageOp[] = []

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  get epoch(): string {
    return this.#epoch
  }

  get revision(): number {
    return this.#records.revision
  }

  /** Copies of all records. */
  records(): StoredRecord[] {
    return this.#records.records()
  }

  /** A link of its own to this data, for a server with a clock of its own. */
  storage(clock: Clock = this.#clock): SharedLink {
    return new MemoryLink(this, clock)
  }

  /** Forgets how the present state came about: who is behind has to read all of it. */
  compact(): void {
    this.#log = []
    this.#compacted = this.revision
  }

  /** Loses everything and counts anew, as a store does that was emptied. */
  empty(): void {
    this.#records = new RecordMap()
    this.#epoch = randomUUID()
    this.#log = []
    this.#compacted = 0
    this.#removed = []
    this.changed()
  }

  state(): StoredState {
    return {
      epoch: this.#epoch,
      revision: this.revision,
      records: this.records(),
      problems: [],
      lastAliveAt: null,
      removed: structuredClone(this.#removed),
    }
  }

  commit(ops: readonly StorageOp[]): OpResult[] {
    const results = ops.map((op): OpResult => {
      // Nobody but this server could ever ask about what a touch says.
      if (op.op === "touch") return { ok: false, why: "missing", current: null }
      const result = this.#records.apply(op)
      if (!result.ok) return result
      this.applied.push(structuredClone(op))
      const { revision, version } = result
      if (op.op === "put") this.#log.push({ op: "put", stored: { record: structuredClone(op.record), version, revision }, cause: op.cause })
      else {
        this.#log.push({ op: "delete", key: op.key, revision, cause: op.cause })
        this.#removed.push({ key: op.key, revision, cause: op.cause })
        if (this.#removed.length > tombstonesKept) this.#removed.shift()
      }
      return result
    })
    this.changed()
    return results
  }

  /** Puts a record as another program does that renews it in the store: every server is told when it was renewed, Unix ms. */
  import({ record, renewedAt }: { record: InstanceRecord; renewedAt: number }): void {
    const key = { service: record.service, id: record.id }
    const ifVersion = this.records().find((stored) => keyText(stored.record) === keyText(key))?.version ?? null
    const cause = { by: "another program", why: "found in the store", at: this.#clock.now(), what: ifVersion === null ? "registered" : "updated" }
    const result = this.#records.apply({ op: "put", record, ifVersion, cause })
    if (!result.ok) throw new Error(`not taken: ${result.why}`)
    this.#records.apply({ op: "touch", key, renewedAt })
    const { version, revision } = result
    this.#log.push({ op: "put", stored: { record: structuredClone(record), version, revision, renewedAt }, cause })
    this.changed()
  }

  /** What happened in `epoch` after `revision`. */
  since(epoch: string, revision: number): StorageNews {
    if (epoch !== this.#epoch || revision < this.#compacted) return { reset: this.state() }
    return { revision: this.revision, changes: structuredClone(this.#log.filter((change) => revisionOf(change) > revision)) }
  }

  announce(info: ServerInfo): void {
    const known = this.#announced.has(info.id)
    this.#announced.set(info.id, { info, heardAt: this.#clock.monotonic() })
    if (!known) this.changed()
  }

  withdraw(id: string): void {
    if (this.#announced.delete(id)) this.changed()
  }

  /** Who announced itself within the last 10 s, by id. */
  announced(): ServerInfo[] {
    const now = this.#clock.monotonic()
    for (const [id, { heardAt }] of this.#announced) if (now - heardAt > announcedMs) this.#announced.delete(id)
    return [...this.#announced.values()].map(({ info }) => info).sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** Resolves at the next change, or after a second. */
  async next(clock: Clock, signal: AbortSignal): Promise<void> {
    const stop = new AbortController()
    const wake = () => stop.abort()
    this.#waiting.add(wake)
    signal.addEventListener("abort", wake)
    await sleep(clock, confirmMs, stop.signal)
    signal.removeEventListener("abort", wake)
    this.#waiting.delete(wake)
  }

  changed(): void {
    for (const wake of this.#waiting) wake()
  }
}

class MemoryLink implements SharedLink {
  readonly name = "shared memory"
  readonly #data: SharedData
  readonly #clock: Clock
  #stop: AbortController | undefined
  #position = { epoch: "", revision: 0 }
  #cut = false
  #paused = false
  deaf = false
  lagMs = 0

  constructor(data: SharedData, clock: Clock) {
    this.#data = data
    this.#clock = clock
  }

  get cut(): boolean {
    return this.#cut
  }

  set cut(cut: boolean) {
    this.#cut = cut
    this.#data.changed()
  }

  get paused(): boolean {
    return this.#paused
  }

  set paused(paused: boolean) {
    this.#paused = paused
    this.#data.changed()
  }

  async open(): Promise<StoredState> {
    await this.#reach()
    this.#stop = new AbortController()
    const state = this.#data.state()
    this.#position = { epoch: state.epoch, revision: state.revision }
    return state
  }

  async commit(ops: readonly StorageOp[]): Promise<OpResult[]> {
    if (this.#stop === undefined) throw new MeshError("storage_unavailable", "the storage is closed")
    if (this.lagMs > 0) await sleep(this.#clock, this.lagMs)
    await this.#reach()
    const results = this.#data.commit(ops)
    await this.#awake()
    if (this.deaf) throw new MeshError("storage_unavailable", "the answer of the shared memory was lost")
    return results
  }

  async *changes(signal: AbortSignal): AsyncGenerator<StorageNews> {
    const over = this.#over(signal)
    while (!over.aborted) {
      if (!this.#cut && !this.#paused) {
        const news = this.#data.since(this.#position.epoch, this.#position.revision)
        this.#position = { epoch: this.#data.epoch, revision: "reset" in news ? news.reset.revision : news.revision }
        yield news
        // What was told is confirmed at once, so that a store with much to tell is not taken for a silent one.
        if ("reset" in news || news.changes.length > 0) continue
      }
      await this.#data.next(this.#clock, over)
    }
  }

  async *servers(self: ServerInfo, signal: AbortSignal): AsyncGenerator<ServerInfo[]> {
    const over = this.#over(signal)
    let last = ""
    while (!over.aborted) {
      if (!this.#cut && !this.#paused) {
        this.#data.announce(self)
        const servers = this.#data.announced()
        const text = JSON.stringify(servers)
        if (text !== last) yield servers
        last = text
      }
      if (!over.aborted) await this.#data.next(this.#clock, over)
    }
    if (!this.#cut) this.#data.withdraw(self.id)
  }

  close(): Promise<void> {
    this.#stop?.abort()
    this.#stop = undefined
    return Promise.resolve()
  }

  #over(signal: AbortSignal): AbortSignal {
    return this.#stop === undefined ? AbortSignal.abort() : AbortSignal.any([signal, this.#stop.signal])
  }

  async #reach(): Promise<void> {
    if (this.#paused) {
      await this.#awake()
      throw new MeshError("storage_unavailable", "the shared memory was asked before a pause that was longer than it is waited for")
    }
    // What is on its way when a link is mended gets through.
    for (const limit = this.#clock.monotonic() + callLimitMs; this.#cut && this.#clock.monotonic() < limit; ) await sleep(this.#clock, resendMs)
    if (!this.#cut) return
    throw new MeshError("storage_unavailable", "the shared memory does not answer")
  }

  async #awake(): Promise<void> {
    while (this.#paused) await this.#data.next(this.#clock, new AbortController().signal)
  }
}

function revisionOf(change: StorageChange): number {
  return change.op === "put" ? change.stored.revision : change.revision
}
