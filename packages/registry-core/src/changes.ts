import { type Clock, type InstanceKey, type InstanceRecord, keyText, MeshError, recordFormat } from "@meshwork/contract"
import { Committer } from "./committer.ts"
import type { LeaseClock } from "./lease-clock.ts"
import type { RegistryOptions } from "./registry.ts"
import type { RegistryState } from "./registry-state.ts"
import { sameRecord } from "./rules/same-record.ts"
import type { Entry } from "./service-view.ts"
import type { SharedFeed } from "./shared-feed.ts"
import type { OpResult, StorageChange, StorageOp, StorageProblem, StoredRecord } from "./storage-port.ts"

const maxTries = 8

/** What a rule wants done about one instance: a new record, a removal, or nothing. */
export type Wish =
  /**
   * `replaces`: also what a newer version wrote. `claims`: also when nothing but the keeper differs.
   * `stands`: asked when it is stored, which may be seconds later.
   */
  | { put: InstanceRecord; what: string; why: string; replaces?: boolean; claims?: boolean; stands?: () => boolean }
  | { delete: true; what: string; why: string; stands?: () => boolean }
  | undefined

export interface ChangesOptions extends Pick<RegistryOptions, "clock" | "storage" | "log"> {
  leases: LeaseClock
  state: RegistryState
  /** Set for a shared storage: what it tells is applied, and nothing else is. */
  feed: (() => SharedFeed) | undefined
  /** Called when a suspect's record changed. */
  suspected: (entry: Entry) => void
}

/** The one way in which a registry changes: rule, commit, apply. */
export class Changes {
  /** Stored records that could not be read and were not replaced since, by key. */
  readonly problems: Map<string, StorageProblem> = new Map()
  readonly #clock: Clock
  readonly #leases: LeaseClock
  readonly #state: RegistryState
  readonly #committer: Committer
  readonly #suspected: (entry: Entry) => void
  readonly #log: NonNullable<RegistryOptions["log"]>
  readonly #feed: (() => SharedFeed) | undefined
  #closed = false

  constructor({ clock, storage, log = () => {}, leases, state, feed, suspected }: ChangesOptions) {
    this.#clock = clock
    this.#leases = leases
    this.#state = state
    this.#suspected = suspected
    this.#feed = feed
    this.#log = log
    this.#committer = new Committer(
      storage,
      clock,
      (op, result) => {
        if (feed === undefined) this.#applied(op, result)
      },
      (fault) => (fault === undefined ? log("info", `the storage ${storage.name} answers again`) : log("error", fault.message)),
    )
  }

  /** Why nothing can be stored now; absent while the storage answers. */
  get fault(): MeshError | undefined {
    return this.#feed === undefined ? this.#committer.fault : this.#feed().fault
  }

  /** Tells the storage that this server lives. */
  signOfLife(): void {
    this.#committer.signOfLife()
  }

  /** Tells the storage when an instance was last heard; whether it took it. */
  touch(entry: Entry, renewedAt: number = entry.renewedWall): Promise<boolean> {
    const key = { service: entry.record.service, id: entry.record.id }
    return this.#committer.commit({ op: "touch", key, renewedAt }).then(
      () => true,
      () => false,
    )
  }

  /** Waits for the changes on their way. */
  settled(): Promise<void> {
    return this.#committer.flush()
  }

  /** Refuses further changes and waits for those on their way. */
  close(): Promise<void> {
    this.#closed = true
    return this.#committer.flush()
  }

  /**
   * Has a rule decide, commits and applies; on a conflict the rule decides again about what is stored now. Resolves to the entry afterwards.
   * Rejects with what the rule throws, `storage_unavailable`, or `conflict`.
   */
  async make(key: InstanceKey, by: string, rule: (current: InstanceRecord | undefined) => Wish): Promise<Entry | undefined> {
    if (this.#closed) throw new MeshError("storage_unavailable", "the registry is closing")
    const fault = this.#feed?.().fault
    if (fault !== undefined) throw fault
    /** What a refusal of the shared storage showed, which its changes may not have told yet. */
    let shown: { current: StoredRecord | null } | undefined
    for (let tries = 0; tries < maxTries; tries++) {
      const entry = this.#state.entry(key)
      const current = shown === undefined ? entry : (shown.current ?? undefined)
      const wish = rule(current?.record)
      if (wish === undefined || ("put" in wish && wish.claims !== true && current !== undefined && sameRecord(current.record, wish.put))) {
        if (shown?.current) await this.#feed?.().applied(shown.current.revision)
        return this.#state.entry(key)
      }
      if (current !== undefined && current.record.format > recordFormat && "put" in wish && wish.replaces !== true) {
        throw new MeshError("conflict", `${keyText(key)} was written by a newer version of Meshwork, which alone may change it`)
      }
      const cause = { by, why: wish.why, at: this.#clock.now(), what: wish.what }
      const op: StorageOp =
        "put" in wish
          ? { op: "put", record: wish.put, ifVersion: current?.version ?? null, cause }
          : { op: "delete", key: { service: key.service, id: key.id }, ifVersion: current?.version ?? "", cause }
      const { epoch } = this.#state.position
      const result = await this.#committer.commit(op, wish.stands)
      if (result === "withdrawn") continue
      if (result.ok) {
        if (this.#feed === undefined) return this.#state.entry(key)
        await this.#feed().applied(result.revision)
        if (epoch === this.#state.position.epoch) return this.#state.entry(key)
        shown = undefined
      } else if (this.#feed !== undefined) shown = { current: result.current }
    }
    throw new MeshError("conflict", `${keyText(key)} kept changing while it was to be changed; try again`)
  }

  /** Takes note of everything in the storage that cannot be read at present. */
  skip(problems: readonly StorageProblem[]): void {
    const known = new Map(this.problems)
    this.problems.clear()
    for (const problem of problems) {
      this.problems.set(problem.key, problem)
      if (known.get(problem.key)?.message === problem.message) continue
      this.#log("error", `a stored record was skipped: ${problem.message}`, { key: problem.key })
      const [service = "", id = ""] = problem.key.split("/")
      this.#state.note({ service, id }, { by: "storage", why: problem.message, at: this.#clock.now() }, "skipped")
    }
  }

  /** Applies what a shared storage tells of. */
  tell(change: StorageChange): void {
    const { cause } = change
    if (change.op === "delete") {
      const what = cause.what ?? "deregistered"
      if (what === "expired") this.#ranOut(change.key, this.#state.entry(change.key)?.kept === true)
      this.#state.delete(change.key, change.revision, cause, what)
      return
    }
    const { record } = change.stored
    if (this.problems.size > 0) this.problems.delete(keyText(record))
    this.#state.put(change.stored, cause, cause.what ?? (this.#state.entry(record) === undefined ? "registered" : "updated"))
    const entry = this.#state.entry(record)
    if (entry) this.#suspected(entry)
  }

  #applied(op: StorageOp, result: OpResult): void {
    if (op.op === "touch") return
    const what = op.cause.what ?? op.op
    if (result.ok && op.op === "put") {
      this.#state.put({ record: op.record, version: result.version, revision: result.revision }, op.cause, what)
      const entry = this.#state.entry(op.record)
      if (entry?.record.suspect) this.#suspected(entry)
      if (this.problems.size > 0) this.problems.delete(keyText(op.record))
    } else if (result.ok && op.op === "delete") {
      if (what === "expired") this.#ranOut(op.key, true)
      this.#state.delete(op.key, result.revision, op.cause, what)
    } else if (!result.ok && result.current) this.#state.put(result.current, op.cause, "updated")
    else if (!result.ok) this.#state.delete(op.op === "put" ? op.record : op.key, this.#state.position.revision, op.cause, "deregistered")
  }

  /** Waits for work nobody waits for; a storage that fails is reported once, by the committer. */
  async attempt(work: Promise<unknown>): Promise<void> {
    try {
      await work
    } catch (error) {
      const { code, message } = MeshError.from(error)
      if (code !== "storage_unavailable") this.#log("warn", message)
    }
  }

  #ranOut(key: InstanceKey, here: boolean): void {
    const ttlMs = (this.#state.entry(key)?.record.ttlSeconds ?? 0) * 1000
    this.#state.view(key.service)?.ranOut.push({ at: this.#leases.now(), ttlMs, here })
  }
}
