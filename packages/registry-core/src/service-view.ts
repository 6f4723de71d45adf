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
  /** Lease-clock time before which its lease does not end, because others may have heard it and could not say so; once per lease. */
  notBefore?: number
  /** Whether this server is the one to end its lease. */
  kept: boolean
  /** Set where nobody hears it and the store alone tells of its renewals. */
  alone?: true
  /** Time of the lease clock since when it has its present keeper. */
  keeperSince: number
  /** What `renewedAt` counts from where that is no heartbeat, for sentences: "no heartbeat in the 30.2 s since …". */
  countedSince?: string
  load?: Load
}

interface Removed {
  id: string
  why: string
  revision: number
}

const maxRemoved = 1000
const maxHandedOut = 64

/** One service: its instances and everything that is derived from them once per change. */
export class ServiceView {
  readonly name: string
  readonly entries: Map<string, Entry> = new Map()
  /** Counter at the last visible change. */
  revision = 0
  /** Lease-clock time from which on a read may have to leave somebody out. */
  nextDueAt: number = Number.POSITIVE_INFINITY
  /** Leases that ran out within the last ttl: when on the lease clock, and whether this server ended them. */
  ranOut: { at: number; ttlMs: number; here: boolean }[] = []
  #removed: Removed[] = []
  /** Changes up to here can no longer be told apart. */
  #floor: number
  /** Since when the service was known to be empty when this view was made. */
  readonly #emptySince: number
  /** Where this process began to count; what a subscriber of an earlier one holds has another number. */
  #start = -1
  /** Revisions of this service that subscribers hold, oldest first; bounded. */
  #handedOut: number[] = []
  #sorted: Entry[] | undefined
  #instances: readonly Instance[] | undefined
  #serving: number | undefined

  /** Revision of the first instance since there was none. */
  #born: number

  /**
   * @param floor revision since when the service is known to have been empty
   * @param born revision of its first instance
   */
  constructor(name: string, floor: number, born: number) {
    this.name = name
    this.#floor = floor
    this.#emptySince = floor
    this.#born = born
  }

  /** Counts from here: what changed before is told by a snapshot only. */
  startAt(revision: number): void {
    this.revision = revision
    this.#floor = revision
    this.#start = revision
    for (const entry of this.entries.values()) entry.revision = revision
  }

  /** Notes a visible change. */
  touched(revision: number): void {
    this.revision = Math.max(this.revision, revision)
  }

  put(id: string, entry: Entry): void {
    if (this.entries.size === 0) this.#born = entry.revision
    if (!this.entries.has(id)) this.#removed = this.#removed.filter((removed) => removed.id !== id)
    this.#place(id, entry)
    this.entries.set(id, entry)
  }

  delete(id: string, revision: number, why: string): void {
    this.#place(id, undefined)
    this.entries.delete(id)
    this.touched(revision)
    this.#removed.push({ id, why, revision })
    if (this.#removed.length > maxRemoved) this.#floor = this.#removed.shift()?.revision ?? this.#floor
  }

  /** Entries by id. */
  sorted(): readonly Entry[] {
    this.#sorted ??= [...this.entries.values()].sort((a, b) => (a.record.id < b.record.id ? -1 : 1))
    return this.#sorted
  }

  /** Instances by id; the same array until one changes. */
  instances(): readonly Instance[] {
    this.#instances ??= this.sorted().map((entry) => entry.instance)
    return this.#instances
  }

  /** How many instances serve. */
  serving(): number {
    this.#serving ??= this.instances().reduce((count, instance) => count + (instance.standing === "serving" ? 1 : 0), 0)
    return this.#serving
  }

  /** Notes that subscribers now hold the present revision. */
  handOut(): void {
    const last = this.#handedOut.at(-1)
    if (last === this.revision) return
    this.#handedOut.push(this.revision)
    if (this.#handedOut.length > maxHandedOut) this.#handedOut.shift()
  }

  /**
   * The revision of this service that a subscriber holds who has seen everything up to `seen`: one for all who hold the same, so that they can
   * share a frame. Undefined when it is not known, or when the changes since then are not.
   * @param toldOfEmpty whether the subscriber was told when there was nothing
   */
  heldBy(seen: number, toldOfEmpty: boolean): number | undefined {
    if (seen < this.#born && !toldOfEmpty) return undefined
    const held =
      this.#handedOut.findLast((revision) => revision <= seen) ?? (seen < this.#born && seen >= this.#emptySince ? this.#emptySince : undefined)
    return held === undefined || held < this.#floor || held <= this.#start ? undefined : held
  }

  /** What changed after `revision`, a result of `heldBy`. */
  changesSince(revision: number): { upserted: Entry[]; removed: Removed[] } {
    return {
      upserted: this.sorted().filter((entry) => entry.revision > revision),
      removed: this.#removed.filter((removed) => removed.revision > revision),
    }
  }

  /** Keeps the order without sorting again: one change in a large service costs one search. */
  #place(id: string, entry: Entry | undefined): void {
    this.#instances = undefined
    this.#serving = undefined
    const sorted = this.#sorted
    if (sorted === undefined) return
    let low = 0
    for (let high = sorted.length; low < high; ) {
      const middle = (low + high) >>> 1
      const candidate = sorted[middle]
      if (candidate !== undefined && candidate.record.id < id) low = middle + 1
      else high = middle
    }
    const present = sorted[low]?.record.id === id ? 1 : 0
    if (entry === undefined) sorted.splice(low, present)
    else sorted.splice(low, present, entry)
  }
}
