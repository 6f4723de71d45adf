import type { Balancer, BalancerFactory, Weighted } from "./balancer.ts"

/**
 * In turn, by weight, without bursts: smooth weighted round-robin (Igor Sysoev, nginx, 2012). Every candidate gains its weight at each pick; the
 * one ahead is chosen and falls back by the sum of all.
 */
export const roundRobin: BalancerFactory = (): Balancer => {
  const credit = new Map<string, number>()
  let known: readonly Weighted[] = []
  return {
    pick(candidates) {
      if (candidates !== known && candidates.length >= known.length) forget(credit, candidates)
      known = candidates
      let best: Weighted | undefined
      let most = Number.NEGATIVE_INFINITY
      let total = 0
      for (const candidate of candidates) {
        const now = (credit.get(candidate.address) ?? 0) + candidate.weight
        credit.set(candidate.address, now)
        total += candidate.weight
        if (now > most) [best, most] = [candidate, now]
      }
      const chosen = best as Weighted
      credit.set(chosen.address, most - total)
      return chosen
    },
  }
}

function forget(credit: Map<string, number>, candidates: readonly Weighted[]): void {
  if (credit.size <= candidates.length * 2) return
  const present = new Set(candidates.map((candidate) => candidate.address))
  for (const address of credit.keys()) if (!present.has(address)) credit.delete(address)
}
