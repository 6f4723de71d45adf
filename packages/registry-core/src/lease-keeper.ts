import type { Clock, Suspicion, Timer } from "@meshwork/contract"
import type { LeaseClock } from "./lease-clock.ts"
import type { RegistryState } from "./registry-state.ts"
import { decideExpiry, leaseEnd, type LeaseView, longestSuspicionMs, ranOutBeforeStop } from "./rules/expiry.ts"
import type { Entry, ServiceView } from "./service-view.ts"
import { isTold } from "./rules/renewal.ts"
import { SuspectProber } from "./suspect-prober.ts"

const tickMs = 500
const signOfLifeMs = 4000
const grantsAtOnce = 1000
const nobody: ReadonlySet<string> = new Set()

export interface LeaseKeeperOptions {
  clock: Clock
  leases: LeaseClock
  state: RegistryState
  probeSuspect: ((target: { host: string; port: number }) => Promise<boolean>) | undefined
  /** Removes an instance unless it was heard since `renewedAt`. Never rejects. */
  remove(entry: Entry, why: string, renewedAt: number): Promise<void>
  /** Holds an instance as suspect unless it was heard since `renewedAt`. Never rejects. */
  suspect(entry: Entry, suspicion: Suspicion, renewedAt: number): Promise<void>
  /** Tells the storage when an instance was last heard; whether it took it. Never rejects. */
  tell: (entry: Entry) => Promise<boolean>
  /** Has the storage end a lease half a ttl later than `renewedAt` and a ttl; whether it took that. Never rejects. Absent where servers share it. */
  grant?: (entry: Entry, renewedAt: number) => Promise<boolean>
  /** Whether several servers share the storage, so that it is told of long leases only. */
  shared?: boolean
  /** Whether this server may end leases now, and knows which ones. */
  deciding(): boolean
  /** How old this server's knowledge of what others heard is, ms. Absent where there are no others. */
  silenceMs?: () => number
  /** Tells the storage that this server lives. Absent where servers announce themselves. */
  signOfLife?: () => void
  /** Called twice a second. */
  ticked(): void
}

/** The timers around the expiry rules: ends leases within a second of being due, and tells the storage who lives. */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions
  readonly #prober: SuspectProber | undefined
  /** Removals and suspicions that are being stored, so that none is asked for twice. */
  readonly #underway = new Set<string>()
  readonly #untold = new Set<Entry>()
  #timer: Timer | undefined
  #ticks = 0

  constructor(options: LeaseKeeperOptions) {
    this.#options = options
    const { clock, probeSuspect: probe } = options
    if (probe === undefined) return
    const refused = (entry: Entry, renewedAt: number) => {
      const silence = silenceOf(entry, options.leases.now())
      this.#remove(entry, `lease expired: ${silence}, and ${entry.record.host}:${entry.record.port} refuses connections`, renewedAt)
    }
    this.#prober = new SuspectProber({ clock, probe, refused })
  }

  /** Ends what ran out before the storage was last alive, gives everyone else a full ttl, and begins to tick. */
  async start(lastAliveAt: number | null): Promise<void> {
    const over: Promise<void>[] = []
    for (const view of this.#options.state.views()) {
      for (const entry of view.sorted()) {
        const { ttlSeconds, suspect } = entry.record
        const lease = { ttlSeconds, renewedAt: entry.storedRenewal, ...(suspect ? { suspectUntil: suspect.until } : {}) }
        this.leased(entry)
        if (!ranOutBeforeStop(lease, lastAliveAt)) continue
        const silence = (((lastAliveAt ?? 0) - entry.storedRenewal) / 1000).toFixed(1)
        over.push(
          this.#options.remove(entry, `lease expired before the registry stopped: last heartbeat stored ${silence} s earlier`, entry.renewedAt),
        )
      }
    }
    await Promise.all(over)
    if (lastAliveAt !== null) void this.#grantAll()
    this.#arm()
  }

  /** Tells the storage of the time that was given to those whose stored lease would end before: the next stop may be near. */
  async #grantAll(): Promise<void> {
    const { clock, state, grant } = this.#options
    if (grant === undefined) return
    const now = clock.now()
    let some: Promise<boolean>[] = []
    for (const view of state.views()) {
      for (const entry of view.entries.values()) {
        const { ttlSeconds } = entry.record
        const renewedAt = now - ttlSeconds * 500
        if (ttlSeconds === 0 || entry.storedRenewal >= renewedAt) continue
        entry.storedRenewal = renewedAt
        some.push(grant(entry, renewedAt))
        if (some.length < grantsAtOnce) continue
        await Promise.all(some)
        some = []
      }
    }
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#prober?.stop()
    this.#tell()
  }

  /** Takes note of a lease that may be due sooner than any other of its service, or of a suspect to be looked at. */
  leased(entry: Entry): void {
    const view = entry.kept ? this.#options.state.view(entry.record.service) : undefined
    if (view) view.nextDueAt = Math.min(view.nextDueAt, entry.record.suspect ? Number.NEGATIVE_INFINITY : this.end(entry))
  }

  /** Takes note of a heartbeat; the storage is told when what it knows is older than half a ttl. */
  renewed(entry: Entry): void {
    const { ttlSeconds } = entry.record
    if (ttlSeconds === 0 || entry.renewedWall - entry.storedRenewal < ttlSeconds * 500) return
    if (this.#options.shared !== true || (entry.kept && isTold(entry.record))) this.#untold.add(entry)
  }

  /** Lease-clock time at which the instance goes unless it is heard; Infinity = never. */
  end(entry: Entry): number {
    return leaseEnd(this.#lease(entry))
  }

  /** Whether the instance's own lease ran out, although it may still be held as suspect. */
  overdue(entry: Entry, now: number): boolean {
    const { ttlSeconds } = entry.record
    return ttlSeconds > 0 && entry.renewedAt + ttlSeconds * 1000 < now
  }

  /**
   * Ids of a service that a read at `now` must leave out: those that the next tick removes. Where another server may have heard them since the store
   * last told of everything, that is waited for.
   */
  over(view: ServiceView, now: number): ReadonlySet<string> {
    const known = now - (this.#options.silenceMs?.() ?? 0)
    if (view.nextDueAt >= known || !this.#options.deciding()) return nobody
    return new Set(decideExpiry(this.#leases(view), this.#ranOutLately(view, known), known).expire)
  }

  #arm(): void {
    this.#timer = this.#options.clock.timer(tickMs, () => this.#tick()).unref()
  }

  #tick(): void {
    const now = this.#options.leases.now()
    if (this.#options.deciding()) for (const view of this.#options.state.views()) if (view.nextDueAt < now) this.#expire(view, now)
    this.#ticks++
    if (this.#ticks % (1000 / tickMs) === 0) this.#tell()
    if (this.#ticks % (signOfLifeMs / tickMs) === 0) this.#options.signOfLife?.()
    this.#options.ticked()
    this.#arm()
  }

  #expire(view: ServiceView, now: number): void {
    const decision = decideExpiry(this.#leases(view), this.#ranOutLately(view, now), now)
    for (const id of decision.expire) {
      const entry = view.entries.get(id)
      if (entry === undefined) continue
      const { suspect } = entry.record
      const held = suspect ? `; held as suspect for ${((this.#options.clock.now() - suspect.since) / 1000).toFixed(0)} s` : ""
      this.#remove(entry, `lease expired: ${silenceOf(entry, now)}${held}`, entry.renewedAt)
    }
    for (const id of decision.suspect) this.#hold(view, id, now)
    // What was decided is not stored yet; until it is, reads leave it out and every tick looks again.
    const undecided = decision.expire.length > 0 || decision.suspect.length > 0
    view.nextDueAt = undecided
      ? Number.NEGATIVE_INFINITY
      : Math.min(decision.nextDueAt, now + (this.#prober?.look(view.sorted().filter((entry) => entry.kept)) ?? Number.POSITIVE_INFINITY))
  }

  #hold(view: ServiceView, id: string, now: number): void {
    const entry = view.entries.get(id)
    if (entry === undefined) return
    const since = this.#options.clock.now()
    const until = since + longestSuspicionMs
    const reason =
      `suspect: no heartbeat ${silentFor(entry, now)}, like at least half of ${view.name}; ` +
      `serves again when heard, goes when its port refuses or at ${new Date(until).toISOString()}`
    this.#once(entry, () => this.#options.suspect(entry, { since, until, reason }, entry.renewedAt))
  }

  #remove(entry: Entry, why: string, renewedAt: number): void {
    this.#once(entry, () => this.#options.remove(entry, why, renewedAt))
  }

  #once(entry: Entry, work: () => Promise<void>): void {
    const key = `${entry.record.service}/${entry.record.id}`
    if (this.#underway.has(key)) return
    this.#underway.add(key)
    void work().finally(() => this.#underway.delete(key))
  }

  #tell(): void {
    const { state, tell } = this.#options
    const untold = [...this.#untold]
    this.#untold.clear()
    for (const { record } of untold) {
      const entry = state.entry(record)
      if (entry === undefined) continue
      const before = entry.storedRenewal
      entry.storedRenewal = entry.renewedWall
      void tell(entry).then((told) => {
        const present = told ? undefined : state.entry(record)
        if (present === undefined) return
        present.storedRenewal = Math.min(present.storedRenewal, before)
        this.#untold.add(present)
      })
    }
  }

  #lease(entry: Entry): LeaseView {
    const { ttlSeconds, suspect, id } = entry.record
    const lease: LeaseView = { id, ttlMs: ttlSeconds * 1000, renewedAt: entry.renewedAt }
    if (!entry.kept) lease.foreign = true
    if (entry.notBefore !== undefined) lease.notBefore = entry.notBefore
    if (suspect) lease.suspectUntil = entry.heldUntil ??= this.#options.leases.now() + this.#heldFor(suspect)
    return lease
  }

  #heldFor(suspect: Suspicion): number {
    // `until` is an instant of a wall clock, which may jump, or be another machine's; what is left of it never grows beyond the bound.
    if (this.#options.shared === true) return longestSuspicionMs
    return Math.min(longestSuspicionMs, Math.max(0, suspect.until - this.#options.clock.now()))
  }

  #leases(view: ServiceView): LeaseView[] {
    return view.sorted().map((entry) => this.#lease(entry))
  }

  #ranOutLately(view: ServiceView, now: number): { here: number; elsewhere: number } {
    view.ranOut = view.ranOut.filter((lease) => now - lease.at <= lease.ttlMs)
    const here = view.ranOut.filter((lease) => lease.here).length
    return { here, elsewhere: view.ranOut.length - here }
  }
}

function silenceOf(entry: Entry, now: number): string {
  return entry.countedSince === undefined ? `last heartbeat ${secondsSince(entry, now)} s ago` : `no heartbeat ${silentFor(entry, now)}`
}

function silentFor(entry: Entry, now: number): string {
  const { countedSince } = entry
  return countedSince === undefined ? `for ${secondsSince(entry, now)} s` : `in the ${secondsSince(entry, now)} s since ${countedSince}`
}

function secondsSince(entry: Entry, now: number): string {
  return ((now - entry.renewedAt) / 1000).toFixed(1)
}
