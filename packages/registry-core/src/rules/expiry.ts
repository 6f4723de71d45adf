/** How long a suspect is held at most, ms. */
export const longestSuspicionMs = 300_000

/** A lease as the rules see it; times in ms of one monotonic clock. */
export interface LeaseView {
  id: string
  /** 0 = never runs out. */
  ttlMs: number
  renewedAt: number
  /** Set where others may have heard it and could not say so: the lease does not end before. */
  notBefore?: number
  /** Set while the instance is held although its lease ran out: until when. */
  suspectUntil?: number
  /** Set where another server hears the instance: it is not decided about here, and counts as late only when that server doubts it. */
  foreign?: true
}

export interface ExpiryDecision {
  /** Instances whose lease is over and that go now. */
  expire: string[]
  /** Instances to be held as suspects from now on. */
  suspect: string[]
  /** When to look again; Infinity when nothing is leased. */
  nextDueAt: number
}

/** When a lease is over: for a suspect when both its own time and the time it is held for are up. */
export function leaseEnd(lease: LeaseView): number {
  if (lease.ttlMs === 0) return Number.POSITIVE_INFINITY
  return Math.max(lease.renewedAt + lease.ttlMs, lease.suspectUntil ?? Number.NEGATIVE_INFINITY, lease.notBefore ?? Number.NEGATIVE_INFINITY)
}

/**
 * Decides about the leases of one service. When one runs out while at least 3 are leased and at least half of those are late (silent for more
 * than half a ttl) or ran out within the last ttl, it and they are held as suspects, for at most 300 s. Where several servers hear the service, it
 * is enough that this holds for those that are heard here, or for all.
 * @param ranOutLately leases that ran out within their last ttl and are gone already: here, and at other servers
 */
export function decideExpiry(leases: readonly LeaseView[], ranOutLately: { here: number; elsewhere: number }, now: number): ExpiryDecision {
  const leased = leases.filter((lease) => lease.ttlMs > 0)
  const own = leased.filter((lease) => !lease.foreign)
  const over = own.filter((lease) => leaseEnd(lease) < now)
  const fresh = over.filter((lease) => lease.suspectUntil === undefined)
  const decision: ExpiryDecision = {
    expire: over.filter((lease) => lease.suspectUntil !== undefined).map((lease) => lease.id),
    suspect: [],
    nextDueAt: Number.POSITIVE_INFINITY,
  }
  if (fresh.length > 0) {
    const { here, elsewhere } = ranOutLately
    const late = own.filter((lease) => now - lease.renewedAt > lease.ttlMs / 2)
    const lateElsewhere = leased.filter((lease) => lease.foreign && lease.suspectUntil !== undefined).length + elsewhere
    if (isMass(late.length + here, own.length + here) || isMass(late.length + here + lateElsewhere, leased.length + here + elsewhere)) {
      decision.suspect = late.filter((lease) => lease.suspectUntil === undefined).map((lease) => lease.id)
    } else decision.expire.push(...fresh.map((lease) => lease.id))
  }
  const held = new Set(decision.suspect)
  for (const lease of own) {
    const end = leaseEnd(held.has(lease.id) ? { ...lease, suspectUntil: now + longestSuspicionMs } : lease)
    if (end >= now && end < decision.nextDueAt) decision.nextDueAt = end
  }
  return decision
}

function isMass(late: number, all: number): boolean {
  return all >= 3 && late * 2 >= all
}

/**
 * Whether a stored lease ran out before the server stopped: its latest possible end (the store may be half a ttl behind, and suspects are
 * held longer) lies more than 2 s before the store's last sign of life. All in Unix ms.
 */
export function ranOutBeforeStop(lease: { ttlSeconds: number; renewedAt: number; suspectUntil?: number }, lastAliveAt: number | null): boolean {
  if (lease.ttlSeconds === 0 || lastAliveAt === null) return false
  const end = Math.max(lease.renewedAt + lease.ttlSeconds * 1500, lease.suspectUntil ?? Number.NEGATIVE_INFINITY)
  return end < lastAliveAt - 2000
}
