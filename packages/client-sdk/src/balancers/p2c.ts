import type { Balancer, BalancerFactory, Weighted } from "./balancer.ts"
import { byWeight } from "./random.ts"

const floorMs = 1
/** Differences below this say nothing about idle instances. */
const idleFloorMs = 10

/**
 * The better of two drawn by weight: power of two choices (Mitzenmacher, 2001), judged by latency times requests in flight, as Finagle does; a process that says it lags counts as that much slower.
 * Between two idle ones the first stays, the slower it is the seldomer: whoever was slow once has to be measured again, and calls made one at a
 * time spread over the instances. An endpoint without an answer yet counts as the quicker of the two, so that newcomers are tried.
 */
export const p2c: BalancerFactory = (chance): Balancer => ({
  pick(candidates) {
    if (candidates.length === 1) return candidates[0] as Weighted
    const first = byWeight(candidates, chance)
    let second = byWeight(candidates, chance)
    for (let tries = 0; second === first && tries < 3; tries++) second = byWeight(candidates, chance)
    if (first.inFlight === 0 && second.inFlight === 0) {
      const [mine, other] = [
        Math.max(idleFloorMs, first.latencyMs + (first.lagMs ?? 0)),
        Math.max(idleFloorMs, second.latencyMs + (second.lagMs ?? 0)),
      ]
      // By the root of it: with nothing else under way a slow answer long ago matters little.
      return chance() * Math.sqrt(mine / other) < 1 ? first : second
    }
    return cost(second, first) < cost(first, second) ? second : first
  },
})

function cost(candidate: Weighted, other: Weighted): number {
  return Math.max(floorMs, (candidate.latencyMs || other.latencyMs) + (candidate.lagMs ?? 0)) * (candidate.inFlight + 1)
}
