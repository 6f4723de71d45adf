import type { InstanceKey, WatchToken } from "@meshwork/contract"
import { Journal } from "./journal.ts"
import type { LeaseClock } from "./lease-clock.ts"
import { derived } from "./rules/derive.ts"
import { type Entry, ServiceView } from "./service-view.ts"
import type { Cause, StoredRecord, StoredState } from "./storage-port.ts"

const emptyViewsKept = 20_000

/** The registry's view of its storage: changed by what was committed and by nothing else. */
export class RegistryState {
  readonly journal: Journal = new Journal()
  readonly #views = new Map<string, ServiceView>()
  readonly #leases: LeaseClock
  readonly #changed: (service: string) => void
  /** Removals up to here are no longer remembered for services without instances. */
  floor = 0
  #epoch = ""
  #revision = 0
  #instances = 0
  #services = 0

  constructor(leases: LeaseClock, changed: (service: string) => void) {
    this.#leases = leases
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
  load(state: StoredState): void {
    this.#epoch = state.epoch
    this.#revision = state.revision
    for (const stored of state.records) this.#place(stored, stored.revision)
    // Which change of a service was its last visible one is not stored, and a removal leaves nothing: so all begin here.
    for (const view of this.#views.values()) view.startAt(state.revision)
    this.floor = state.revision
  }

  /** Applies a stored record, by whomever it was written. */
  put(stored: StoredRecord, cause: Cause, what: string): void {
    this.#revision = Math.max(this.#revision, stored.revision)
    const before = this.entry(stored.record)
    const { record } = stored
    const entry = this.#place(stored, stored.revision)
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

  #place(stored: StoredRecord, revision: number): Entry {
    const { record } = stored
    let view = this.#views.get(record.service)
    if (view === undefined) this.#views.set(record.service, (view = new ServiceView(record.service, this.floor, revision)))
    const before = view.entries.get(record.id)
    const instance = derived(record)
    const entry: Entry = {
      record,
      version: stored.version,
      instance,
      json: JSON.stringify(instance),
      revision,
      renewedAt: before?.renewedAt ?? this.#leases.now(),
      renewedWall: before?.renewedWall ?? stored.renewedAt ?? record.registeredAt,
      storedRenewal: before?.storedRenewal ?? stored.renewedAt ?? record.registeredAt,
      // A verdict about a suspect does not begin its time anew.
      ...(before?.heldUntil === undefined || record.suspect === undefined ? {} : { heldUntil: before.heldUntil }),
      ...(before?.load === undefined || before.record.boot !== record.boot ? {} : { load: before.load }),
    }
    if (before === undefined) this.#instances++
    if (view.entries.size === 0) this.#services++
    view.put(record.id, entry)
    return entry
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
