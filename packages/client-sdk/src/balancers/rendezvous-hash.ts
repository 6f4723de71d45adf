import type { Balancer, BalancerFactory, Weighted } from "./balancer.ts"
import { byWeight } from "./random.ts"

/**
 * The same candidate for the same `hashKey` as long as it is there; a change moves only the keys of the candidate that came or left.
 * Weighted rendezvous hashing (Thaler and Ravishankar, 1998; weights after Schindelhauer and Schomaker, 2005). Without a key: by chance.
 */
export const rendezvousHash: BalancerFactory = (chance): Balancer => ({
  pick(candidates, { hashKey }) {
    if (hashKey === undefined) return byWeight(candidates, chance)
    let best = candidates[0] as Weighted
    let highest = Number.NEGATIVE_INFINITY
    for (const candidate of candidates) {
      const score = -candidate.weight / Math.log(unit(`${candidate.address}\u0000${hashKey}`))
      if (score > highest) [best, highest] = [candidate, score]
    }
    return best
  },
})

/** A number in (0, 1) from text: FNV-1a with the finish of MurmurHash3 (Fowler, Noll, Vo; Appleby). */
function unit(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (((hash ^ (hash >>> 16)) >>> 0) + 0.5) / 2 ** 32
}
