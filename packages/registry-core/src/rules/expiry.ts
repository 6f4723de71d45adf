/** How long a suspect is held at most, ms. */
export const longestSuspicionMs = 300_000

/** A lease as the rules see it; times in ms of one monotonic clock. */
export interface LeaseView {
  id: string
  /** 0 = never runs out. */
  ttlMs: number
  renewedAt: number
  /** Set while the instance is held although its lease ran out: until when. */
  suspectUntil?: number
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
  return Math.max(lease.renewedAt + lease.ttlMs, lease.suspectUntil ?? Number.NEGATIVE_INFINITY)
}

/**
 * Decides about the leases of one service. When one runs out while at least 3 are leased and at least half of those are late (silent for more
 * than half a ttl) or ran out within the last ttl, it and they are held as suspects, for at most 300 s.
 * @param ranOutLately leases that ran out within their last ttl and are gone already
 */
export function decideExpiry(leases: readonly LeaseView[], ranOutLately: number, now: number): ExpiryDecision {
  const leased = leases.filter((lease) => lease.ttlMs > 0)
  const over = leased.filter((lease) => leaseEnd(lease) < now)
  const fresh = over.filter((lease) => lease.suspectUntil === undefined)
  const decision: ExpiryDecision = {
    expire: over.filter((lease) => lease.suspectUntil !== undefined).map((lease) => lease.id),
    suspect: [],
    nextDueAt: Number.POSITIVE_INFINITY,
  }
  if (fresh.length > 0) {
    const late = leased.filter((lease) => now - lease.renewedAt > lease.ttlMs / 2)
    const all = leased.length + ranOutLately
    if (all >= 3 && (late.length + ranOutLately) * 2 >= all)
      decision.suspect = late.filter((lease) => lease.suspectUntil === undefined).map((lease) => lease.id)
    else decision.expire.push(...fresh.map((lease) => lease.id))
  }
  const held = new Set(decision.suspect)
  for (const lease of leased) {
    const end = leaseEnd(held.has(lease.id) ? { ...lease, suspectUntil: now + longestSuspicionMs } : lease)
    if (end >= now && end < decision.nextDueAt) decision.nextDueAt = end
  }
  return decision
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
