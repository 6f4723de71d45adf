import type { Random } from "@meshwork/contract"
import type { Balancer, BalancerFactory, Weighted } from "./balancer.ts"

/** By chance, in proportion to weight. */
export const random: BalancerFactory = (chance): Balancer => ({ pick: (candidates) => byWeight(candidates, chance) })

/** A candidate by chance, in proportion to weight. */
export function byWeight(candidates: readonly Weighted[], chance: Random): Weighted {
  let total = 0
  for (const candidate of candidates) total += candidate.weight
  let left = chance() * total
  for (const candidate of candidates) {
    left -= candidate.weight
    if (left < 0) return candidate
  }
  return candidates[candidates.length - 1] as Weighted
}
