import type { Balancer, BalancerFactory, Weighted } from "./balancer.ts"

/** The one with the fewest requests in flight per weight; among equals by chance. */
export const leastRequests: BalancerFactory = (chance): Balancer => ({
  pick(candidates) {
    let best: Weighted | undefined
    let least = Number.POSITIVE_INFINITY
    let ties = 0
    for (const candidate of candidates) {
      const load = (candidate.inFlight + 1) / candidate.weight
      if (load < least) [best, least, ties] = [candidate, load, 1]
      else if (load === least && chance() * ++ties < 1) best = candidate
    }
    return best as Weighted
  },
})
