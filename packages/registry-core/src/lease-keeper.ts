import type { Clock, Suspicion, Timer } from "@meshwork/contract"
import type { LeaseClock } from "./lease-clock.ts"
import type { RegistryState } from "./registry-state.ts"
import { decideExpiry, leaseEnd, type LeaseView, longestSuspicionMs, ranOutBeforeStop } from "./rules/expiry.ts"
import type { Entry, ServiceView } from "./service-view.ts"

const tickMs = 500
const signOfLifeMs = 4000
const probeEveryMs = 5000

export interface LeaseKeeperOptions {
  clock: Clock
  leases: LeaseClock
  state: RegistryState
  probeSuspect: ((target: { host: string; port: number }) => Promise<boolean>) | undefined
  remove(entry: Entry, why: string): void
  suspect(entry: Entry, suspicion: Suspicion): void
  touch(entry: Entry): void
  signOfLife(): void
}

/** The timers around the expiry rules: ends leases within a second of being due, and tells the storage who lives. */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions
  readonly #probedAt = new WeakMap<object, number>()
  readonly #untold = new Set<Entry>()
  #timer: Timer | undefined
  #ticks = 0

  constructor(options: LeaseKeeperOptions) {
    this.#options = options
  }

  /** Ends what ran out before the storage was last alive, gives everyone else a full ttl, and begins to tick. */
  start(lastAliveAt: number | null): void {
    for (const view of this.#options.state.views()) {
      for (const entry of view.sorted()) {
        const lease = { ttlSeconds: entry.record.ttlSeconds, renewedAt: entry.storedRenewal }
        if (ranOutBeforeStop(lease, lastAliveAt)) this.#options.remove(entry, "lease expired before the registry was restarted")
        else this.leased(entry)
      }
    }
    this.#arm()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#tell()
  }

  /** Takes note of a lease that may be due sooner than any other of its service. */
  leased(entry: Entry): void {
    const view = this.#options.state.view(entry.record.service)
    if (view) view.nextDueAt = Math.min(view.nextDueAt, this.end(entry))
  }

  /** Takes note of a heartbeat; the storage is told when what it knows is older than half a ttl. */
  renewed(entry: Entry): void {
    const { ttlSeconds } = entry.record
    if (ttlSeconds > 0 && entry.renewedWall - entry.storedRenewal >= ttlSeconds * 500) this.#untold.add(entry)
  }

  /** Lease-clock time at which the instance goes unless it is heard; Infinity = never. */
  end(entry: Entry): number {
    return leaseEnd(this.#lease(entry))
  }

  /** Ids of a service that a read at `now` must leave out: those that the next tick removes. */
  over(view: ServiceView, now: number): ReadonlySet<string> {
    return new Set(view.nextDueAt < now ? decideExpiry(this.#leases(view), this.#ranOutLately(view, now), now).expire : [])
  }

  #arm(): void {
    this.#timer = this.#options.clock.timer(tickMs, () => this.#tick()).unref()
  }

  #tick(): void {
    const now = this.#options.leases.now()
    for (const view of this.#options.state.views()) if (view.nextDueAt < now) this.#expire(view, now)
    this.#ticks++
    if (this.#ticks % (1000 / tickMs) === 0) this.#tell()
    if (this.#ticks % (signOfLifeMs / tickMs) === 0) this.#options.signOfLife()
    this.#arm()
  }

  #expire(view: ServiceView, now: number): void {
    const decision = decideExpiry(this.#leases(view), this.#ranOutLately(view, now), now)
    for (const id of decision.expire) {
      const entry = view.entries.get(id)
      if (entry === undefined) continue
      view.ranOut.push({ at: now, ttlMs: entry.record.ttlSeconds * 1000 })
      const silence = ((now - entry.renewedAt) / 1000).toFixed(1)
      const held = entry.record.suspect ? `; held as suspect for ${((now - entry.renewedAt) / 1000 - entry.record.ttlSeconds).toFixed(0)} s` : ""
      this.#options.remove(entry, `lease expired: last heartbeat ${silence} s ago${held}`)
    }
    for (const id of decision.suspect) this.#hold(view, id, now)
    view.nextDueAt = Math.min(decision.nextDueAt, this.#probeSuspects(view, now))
    // What was decided is not stored yet; until it is, look again at every tick.
    if (decision.expire.length > 0 || decision.suspect.length > 0) view.nextDueAt = now
  }

  #hold(view: ServiceView, id: string, now: number): void {
    const entry = view.entries.get(id)
    if (entry === undefined) return
    const wall = this.#options.clock.now()
    const silence = ((now - entry.renewedAt) / 1000).toFixed(1)
    const reason =
      `suspect: no heartbeat for ${silence} s, like at least half of ${view.name}; ` +
      `serves again when heard, goes when a probe refuses it or at ${new Date(wall + longestSuspicionMs).toISOString()}`
    this.#options.suspect(entry, { since: wall, until: wall + longestSuspicionMs, reason })
  }

  /** Probes suspects that no check probes; returns when to look again. */
  #probeSuspects(view: ServiceView, now: number): number {
    const { probeSuspect } = this.#options
    let next = Number.POSITIVE_INFINITY
    for (const entry of view.entries.values()) {
      if (entry.record.suspect === undefined || entry.record.check !== undefined || probeSuspect === undefined) continue
      const due = (this.#probedAt.get(entry.record) ?? Number.NEGATIVE_INFINITY) + probeEveryMs
      if (due > now) {
        next = Math.min(next, due)
        continue
      }
      this.#probedAt.set(entry.record, now)
      next = Math.min(next, now + probeEveryMs)
      void probeSuspect({ host: entry.record.host, port: entry.record.port }).then(
        (listens) => {
          if (!listens) this.#options.remove(entry, `lease expired: no heartbeat, and ${entry.record.host}:${entry.record.port} refuses connections`)
        },
        () => {},
      )
    }
    return next
  }

  #tell(): void {
    for (const entry of this.#untold) {
      entry.storedRenewal = entry.renewedWall
      this.#options.touch(entry)
    }
    this.#untold.clear()
  }

  #lease(entry: Entry): LeaseView {
    const { ttlSeconds, suspect, id } = entry.record
    const lease: LeaseView = { id, ttlMs: ttlSeconds * 1000, renewedAt: entry.renewedAt }
    // `until` is a wall clock instant, which may jump; what is left of it never grows beyond the bound.
    if (suspect) lease.suspectUntil = (entry.heldUntil ??= this.#options.leases.now() + Math.min(longestSuspicionMs, Math.max(0, suspect.until - this.#options.clock.now())))
    return lease
  }

  #leases(view: ServiceView): LeaseView[] {
    return view.sorted().map((entry) => this.#lease(entry))
  }

  #ranOutLately(view: ServiceView, now: number): number {
    view.ranOut = view.ranOut.filter((lease) => now - lease.at <= lease.ttlMs)
    return view.ranOut.length
  }
}
