import { type Clock, type InstanceKey, type InstanceRecord, keyText, MeshError, recordFormat } from "@meshwork/contract"
import { Committer } from "./committer.ts"
import type { LeaseClock } from "./lease-clock.ts"
import type { RegistryOptions } from "./registry.ts"
import type { RegistryState } from "./registry-state.ts"
import { sameRecord } from "./rules/same-record.ts"
import type { Entry } from "./service-view.ts"
import type { OpResult, StorageOp, StorageProblem } from "./storage-port.ts"

const maxTries = 8

/** What a rule wants done about one instance: a new record, a removal, or nothing. */
export type Wish = { put: InstanceRecord; what: string; why: string; replaces?: boolean } | { delete: true; what: string; why: string } | undefined

export interface ChangesOptions extends Pick<RegistryOptions, "clock" | "storage" | "log"> {
  leases: LeaseClock
  state: RegistryState
  /** Stored records that could not be read. */
  problems: readonly StorageProblem[]
  /** Called when a suspect's record changed. */
  suspected: (entry: Entry) => void
}

/** The one way in which a registry changes: rule, commit, apply. */
export class Changes {
  /** Stored records that could not be read and were not replaced since, by key. */
  readonly problems: Map<string, StorageProblem>
  readonly #clock: Clock
  readonly #leases: LeaseClock
  readonly #state: RegistryState
  readonly #committer: Committer
  readonly #suspected: (entry: Entry) => void
  readonly #log: NonNullable<RegistryOptions["log"]>
  /** What the journal calls an op on its way. */
  readonly #whats = new WeakMap<StorageOp, string>()
  #closed = false

  constructor({ clock, storage, log = () => {}, leases, state, problems, suspected }: ChangesOptions) {
    this.problems = new Map(problems.map((problem) => [problem.key, problem]))
    this.#clock = clock
    this.#leases = leases
    this.#state = state
    this.#suspected = suspected
    this.#log = log
    this.#committer = new Committer(
      storage,
      clock,
      (op, result) => this.#applied(op, result),
      (fault) => (fault === undefined ? log("info", `the storage ${storage.name} answers again`) : log("error", fault.message)),
    )
  }

  /** The last commit's fault; absent while the storage answers. */
  get fault(): MeshError | undefined {
    return this.#committer.fault
  }

  /** Tells the storage that this server lives. */
  signOfLife(): void {
    this.#committer.signOfLife()
  }

  /** Tells the storage when an instance was last heard; whether it took it. */
  touch(entry: Entry): Promise<boolean> {
    const key = { service: entry.record.service, id: entry.record.id }
    return this.#committer.commit({ op: "touch", key, renewedAt: entry.renewedWall }).then(
      () => true,
      () => false,
    )
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
    for (let tries = 0; tries < maxTries; tries++) {
      const entry = this.#state.entry(key)
      const wish = rule(entry?.record)
      if (wish === undefined || ("put" in wish && entry !== undefined && sameRecord(entry.record, wish.put))) return entry
      if (entry !== undefined && entry.record.format > recordFormat && "put" in wish && wish.replaces !== true) {
        throw new MeshError("conflict", `${keyText(key)} was written by a newer version of Meshwork, which alone may change it`)
      }
      const cause = { by, why: wish.why, at: this.#clock.now() }
      const op: StorageOp =
        "put" in wish
          ? { op: "put", record: wish.put, ifVersion: entry?.version ?? null, cause }
          : { op: "delete", key: { service: key.service, id: key.id }, ifVersion: entry?.version ?? "", cause }
      this.#whats.set(op, wish.what)
      const result = await this.#committer.commit(op)
      if (result.ok) return this.#state.entry(key)
    }
    throw new MeshError("conflict", `${keyText(key)} kept changing while it was to be changed; try again`)
  }

  #applied(op: StorageOp, result: OpResult): void {
    if (op.op === "touch") return
    const what = this.#whats.get(op) ?? op.op
    if (result.ok && op.op === "put") {
      this.#state.put({ record: op.record, version: result.version, revision: result.revision }, op.cause, what)
      const entry = this.#state.entry(op.record)
      if (entry?.record.suspect) this.#suspected(entry)
      if (this.problems.size > 0) this.problems.delete(keyText(op.record))
    } else if (result.ok && op.op === "delete") {
      if (what === "expired") this.#ranOut(op.key)
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

  #ranOut(key: InstanceKey): void {
    const ttlMs = (this.#state.entry(key)?.record.ttlSeconds ?? 0) * 1000
    this.#state.view(key.service)?.ranOut.push({ at: this.#leases.now(), ttlMs })
  }
}
