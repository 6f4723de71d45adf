import type { Instance, InstanceRecord, Load } from "@meshwork/contract"

/** What the registry holds of one instance. */
export interface Entry {
  record: InstanceRecord
  version: string
  instance: Instance
  /** JSON of `instance`, made once per visible change. */
  json: string
  /** Revision of its last visible change. */
  revision: number
  /** Time of the lease clock at its last sign of life. */
  renewedAt: number
  /** Unix ms of the same. */
  renewedWall: number
  /** Unix ms of the last sign of life the storage knows of. */
  storedRenewal: number
  /** Lease-clock time until which a suspect is held. */
  heldUntil?: number
  load?: Load
}

interface Removed {
  id: string
  why: string
  revision: number
}

const maxRemoved = 1000

/** One service: its instances and everything that is derived from them once per change. */
export class ServiceView {
  readonly name: string
  readonly entries: Map<string, Entry> = new Map()
  /** Counter at the last visible change. */
  revision = 0
  /** Lease-clock time from which on a read may have to leave somebody out. */
  nextDueAt: number = Number.POSITIVE_INFINITY
  /** Lease-clock times at which leases ran out, within the last ttl. */
  ranOut: { at: number; ttlMs: number }[] = []
  #removed: Removed[] = []
  /** Changes up to here can no longer be told apart. */
  #floor: number
  #sorted: Entry[] | undefined

  constructor(name: string, floor: number) {
    this.name = name
    this.#floor = floor
  }

  /** Counts from here: what changed before is told by a snapshot only. */
  startAt(revision: number): void {
    this.revision = revision
    this.#floor = revision
    for (const entry of this.entries.values()) entry.revision = revision
  }

  /** Notes a visible change. */
  touched(revision: number): void {
    this.revision = Math.max(this.revision, revision)
  }

  put(id: string, entry: Entry): void {
    this.entries.set(id, entry)
    this.#sorted = undefined
    const last = this.#removed.findIndex((removed) => removed.id === id)
    if (last >= 0) this.#removed.splice(last, 1)
  }

  delete(id: string, revision: number, why: string): void {
    this.entries.delete(id)
    this.revision = Math.max(this.revision, revision)
    this.#sorted = undefined
    this.#removed.push({ id, why, revision })
    if (this.#removed.length > maxRemoved) this.#floor = this.#removed.shift()?.revision ?? this.#floor
  }

  /** Entries by id. */
  sorted(): readonly Entry[] {
    this.#sorted ??= [...this.entries.values()].sort((a, b) => (a.record.id < b.record.id ? -1 : 1))
    return this.#sorted
  }

  /** What changed after `revision`; undefined when only a snapshot can say. */
  changesSince(revision: number): { upserted: Entry[]; removed: Removed[] } | undefined {
    if (revision < this.#floor) return undefined
    return { upserted: this.sorted().filter((entry) => entry.revision > revision), removed: this.#removed.filter((removed) => removed.revision > revision) }
  }
}
