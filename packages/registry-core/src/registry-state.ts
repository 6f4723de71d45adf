import { type InstanceKey, keyText, type WatchToken } from "@meshwork/contract"
import type { Division } from "./division.ts"
import { Journal } from "./journal.ts"
import type { LeaseClock } from "./lease-clock.ts"
import { derived } from "./rules/derive.ts"
import { type Entry, ServiceView } from "./service-view.ts"
import type { Cause, StoredRecord, StoredState } from "./storage-port.ts"

const emptyViewsKept = 20_000
const becameKeeper = "this server became its keeper"

/** The registry's view of its storage: changed by what was committed and by nothing else. */
export class RegistryState {
  readonly journal: Journal = new Journal()
  readonly #views = new Map<string, ServiceView>()
  readonly #leases: LeaseClock
  readonly #division: Division
  readonly #wall: () => number
  readonly #changed: (service: string) => void
  /** Removals up to here are no longer remembered for services without instances. */
  floor = 0
  #epoch = ""
  #revision = 0
  #instances = 0
  #services = 0

  /** @param wall the present in Unix ms */
  constructor(leases: LeaseClock, division: Division, wall: () => number, changed: (service: string) => void) {
    this.#leases = leases
    this.#division = division
    this.#wall = wall
    this.#changed = changed
  }

  get position(): WatchToken {
    return { epoch: this.#epoch, revision: this.#revision }
  }

  /** Live instances in all. */
  get instances(): number {
    return this.#instances
  }

  /** Services with instances. */
  get services(): number {
    return this.#services
  }

  view(service: string): ServiceView | undefined {
    return this.#views.get(service)
  }

  views(): Iterable<ServiceView> {
    return this.#views.values()
  }

  entry(key: InstanceKey): Entry | undefined {
    return this.#views.get(key.service)?.entries.get(key.id)
  }

  /** Takes over what a storage held when it was opened; every lease gets a full ttl from now. */
  load(state: StoredState, countedSince = "the registry was started"): void {
    this.#epoch = state.epoch
    this.#revision = state.revision
    // Since when somebody keeps them is not known: whoever hears them may become their keeper at once.
    for (const stored of state.records) {
      const entry = this.#place(stored, stored.revision, this.#wall())
      Object.assign(entry, { keeperSince: Number.NEGATIVE_INFINITY }, entry.alone ? {} : { countedSince })
    }
    // Which change of a service was its last visible one is not stored, and a removal leaves nothing: so all begin here.
    for (const view of this.#views.values()) view.startAt(state.revision)
    this.floor = state.revision
  }

  /** Notes that nothing visible happened up to `revision`. */
  advance(revision: number): void {
    this.#revision = Math.max(this.#revision, revision)
  }

  /**
   * Makes the view equal to what a shared storage holds after it had to be read anew. Whether subscribers can go on from what they know: not where
   * the counting begins anew.
   */
  replace(state: StoredState, at: number): boolean {
    const { epoch, revision } = state
    const reasons = new Map(state.removed?.map((removed) => [keyText(removed.key), removed.cause]))
    const there = new Set(state.records.map(({ record }) => keyText(record)))
    const known = [...this.#views.values()].flatMap((view) => view.sorted())
    const gone = known.filter(({ record }) => !there.has(keyText(record)))
    const news = state.records.filter(({ record, version }) => this.entry(record)?.version !== version)
    const goesOn = epoch === this.#epoch && (revision > this.#revision || (revision === this.#revision && gone.length + news.length === 0))
    for (const { record } of gone) {
      const why = goesOn ? "it was gone when the storage was read again" : "the storage lost it"
      const cause = reasons.get(keyText(record)) ?? { by: "storage", why, at }
      this.delete({ service: record.service, id: record.id }, goesOn ? revision : this.#revision, cause, cause.what ?? "deregistered")
    }
    if (goesOn) {
      const cause = { by: "storage", why: "it had changed when the storage was read again", at }
      for (const stored of news) this.put({ ...stored, revision }, cause, this.entry(stored.record) === undefined ? "registered" : "updated")
      // In which revisions they changed is not known here, and other servers hand out the true ones: whoever saw less than this one gets a snapshot,
      // also where everything is as it was.
      for (const service of new Set([...gone.map(({ record }) => record.service), ...news.map(({ record }) => record.service)])) {
        this.#views.get(service)?.startAt(revision)
        this.#changed(service)
      }
      this.#revision = revision
      return true
    }
    this.#views.clear()
    this.#instances = 0
    this.#services = 0
    this.load(state, "the storage began to count anew")
    for (const { record, renewedWall, load } of known) {
      const entry = this.entry(record)
      if (entry?.record.boot === record.boot && entry) Object.assign(entry, { renewedWall }, load ? { load } : {})
    }
    return false
  }

  /** Applies a stored record, by whomever it was written. */
  put(stored: StoredRecord, cause: Cause, what: string): void {
    this.#revision = Math.max(this.#revision, stored.revision)
    const before = this.entry(stored.record)
    const { record } = stored
    const entry = this.#place(stored, stored.revision, cause.at)
    if (before !== undefined && before.json === entry.json) {
      entry.revision = before.revision
      return
    }
    this.#views.get(record.service)?.touched(entry.revision)
    this.#write(record, stored.revision, cause, what)
  }

  /** Applies a removal. */
  delete(key: InstanceKey, revision: number, cause: Cause, what: string): void {
    this.#revision = Math.max(this.#revision, revision)
    const view = this.#views.get(key.service)
    if (!view?.entries.has(key.id)) return
    view.delete(key.id, revision, cause.why)
    this.#instances--
    if (view.entries.size === 0) this.#services--
    this.#write(key, revision, cause, what)
    if (this.#views.size > this.#services + emptyViewsKept) this.#forgetEmpty()
  }

  /** Writes into the journal what changed nothing. */
  note(key: InstanceKey, cause: Cause, what: string): void {
    this.journal.add({ at: cause.at, revision: this.#revision, service: key.service, id: key.id, what, by: cause.by, why: cause.why })
  }

  /** Divides the leases anew among the servers that are there: each that falls to this one gets a full ttl from now. Those that fell to it. */
  divide(): Entry[] {
    const fallen: Entry[] = []
    const now = this.#leases.now()
    for (const view of this.#views.values()) {
      for (const entry of view.entries.values()) {
        const kept = this.#division.keeps(entry.record)
        if (kept && !entry.kept && !entry.alone) {
          renew(entry, now, becameKeeper)
          fallen.push(entry)
        }
        entry.kept = kept
      }
      view.nextDueAt = Number.NEGATIVE_INFINITY
    }
    return fallen
  }

  /** Gives every lease a full ttl from now, because nobody can tell what happened lately, nor since when somebody keeps whom. */
  renewAll(because: string): void {
    const now = this.#leases.now()
    for (const view of this.#views.values()) {
      for (const entry of view.entries.values()) {
        renew(entry, now, because)
        entry.keeperSince = Number.NEGATIVE_INFINITY
      }
      view.nextDueAt = Number.NEGATIVE_INFINITY
    }
  }

  /** Gives every lease kept here half a ttl more, once until it is renewed: whoever heard the instance elsewhere could not say so. */
  spare(): void {
    const now = this.#leases.now()
    for (const view of this.#views.values()) {
      for (const entry of view.entries.values()) if (entry.kept) entry.notBefore ??= now + entry.record.ttlSeconds * 500
      view.nextDueAt = Number.NEGATIVE_INFINITY
    }
  }

  /** @param at when it was written, on the clock of whoever wrote it */
  #place(stored: StoredRecord, revision: number, at: number): Entry {
    const { record } = stored
    let view = this.#views.get(record.service)
    if (view === undefined) this.#views.set(record.service, (view = new ServiceView(record.service, this.floor, revision)))
    const before = view.entries.get(record.id)
    const instance = derived(record)
    const now = this.#leases.now()
    const sameKeeper = before !== undefined && before.record.keeper === record.keeper
    const kept = this.#division.keeps(record)
    // It falls to this server without having been heard here.
    const fallen = before !== undefined && kept && !before.kept && !this.#division.isSelf(record.keeper)
    const told = stored.renewedAt ?? record.renewedAt
    const entry: Entry = {
      record,
      version: stored.version,
      instance,
      json: JSON.stringify(instance),
      revision,
      renewedAt: this.#renewedAt(stored, before, at, fallen),
      renewedWall: Math.max(before?.renewedWall ?? Number.NEGATIVE_INFINITY, told ?? before?.renewedWall ?? record.registeredAt),
      storedRenewal: told ?? before?.storedRenewal ?? record.registeredAt,
      kept,
      ...(hasNoKeeper(stored) ? { alone: true as const } : {}),
      keeperSince: sameKeeper ? before.keeperSince : now,
      ...(fallen ? { countedSince: becameKeeper } : before?.countedSince === undefined ? {} : { countedSince: before.countedSince }),
      ...(before?.notBefore === undefined || fallen ? {} : { notBefore: before.notBefore }),
      // A verdict about a suspect does not begin its time anew.
      ...(before?.heldUntil === undefined || record.suspect === undefined ? {} : { heldUntil: before.heldUntil }),
      ...(before?.load === undefined || before.record.boot !== record.boot ? {} : { load: before.load }),
    }
    if (before === undefined) this.#instances++
    if (view.entries.size === 0) this.#services++
    view.put(record.id, entry)
    return entry
  }

  /** When an instance was last heard, on the lease clock, as far as this server knows. */
  #renewedAt(stored: StoredRecord, before: Entry | undefined, at: number, fallen: boolean): number {
    const { record } = stored
    const now = this.#leases.now()
    const told = stored.renewedAt ?? record.renewedAt
    const elsewhere = !this.#division.isSelf(record.keeper)
    // How long ago it was is told by one clock, that of whoever wrote it.
    if (hasNoKeeper(stored)) return Math.max(before?.renewedAt ?? Number.NEGATIVE_INFINITY, now - Math.max(0, at - (told ?? at)))
    if (before === undefined || fallen) return now
    if (!elsewhere || told === undefined) return before.renewedAt
    if (record.suspect !== undefined && before.record.suspect === undefined) return now - Math.max(0, at - told)
    return told > before.storedRenewal ? Math.max(before.renewedAt, now - Math.max(0, at - told)) : before.renewedAt
  }

  #write(key: InstanceKey, revision: number, cause: Cause, what: string): void {
    this.journal.add({ at: cause.at, revision, service: key.service, id: key.id, what, by: cause.by, why: cause.why })
    this.#changed(key.service)
  }

  /** The oldest empty services go first; a subscriber that never heard of a removal gets a snapshot when they return. */
  #forgetEmpty(): void {
    for (const view of this.#views.values()) {
      if (this.#views.size <= this.#services + emptyViewsKept / 2) return
      if (view.entries.size > 0) continue
      this.#views.delete(view.name)
      this.floor = Math.max(this.floor, view.revision)
    }
  }
}

/** Whether a lease has no keeper that hears it, but a store that tells when it was renewed: a row that lyft/discovery itself wrote. */
function hasNoKeeper({ record, renewedAt }: StoredRecord): boolean {
  return record.keeper === undefined && record.ttlSeconds > 0 && renewedAt !== undefined
}

function renew(entry: Entry, now: number, countedSince: string): void {
  entry.renewedAt = now
  entry.countedSince = countedSince
  delete entry.notBefore
}
