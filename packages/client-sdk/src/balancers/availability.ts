import type { Balancer, BalancerFactory, Weighted } from "./balancer.ts"
import { roundRobin } from "./round-robin.ts"

/** Steps of the share of successful probes, as pollers report it. */
const steps = 20

/** Those with the highest share of successful probes, in turn by weight; one that nobody probes counts as always well. What ServerPy's request processor promises. */
export const availability: BalancerFactory = (chance): Balancer => {
  const turn = roundRobin(chance)
  let known: readonly Weighted[] = []
  let best: readonly Weighted[] = []
  return {
    among: mostAvailable,
    pick(candidates, options) {
      if (candidates !== known) {
        known = candidates
        best = mostAvailable(candidates)
      }
      return turn.pick(best, options)
    },
  }
}

function mostAvailable(candidates: readonly Weighted[]): readonly Weighted[] {
  const stepOf = (candidate: Weighted): number => Math.round((candidate.availability ?? 1) * steps)
  const highest = Math.max(...candidates.map(stepOf))
  return candidates.every((candidate) => stepOf(candidate) === highest) ? candidates : candidates.filter((candidate) => stepOf(candidate) === highest)
}
