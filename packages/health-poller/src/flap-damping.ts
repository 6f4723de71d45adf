import type { Check } from "@meshwork/contract"

/**
 * How much an instance flaps: every failure after a success adds 1, and time takes half of it away per half-life.
 * From `suppressAbove` on it is held as failing whatever its probes say, until no more than `releaseBelow` is left.
 * After RFC 2439, BGP Route Flap Damping.
 */
export interface Flapping {
  /** What it was at `at`. */
  penalty: number
  /** Monotonic ms. */
  at: number
  held: boolean
}

const suppressAbove = 2.5
const releaseBelow = 1
/** Bounds how long one is held: from here it takes two half-lives to be released. */
const mostPenalty = 4
const leastHalfLifeMs = 15_000
const mostHalfLifeMs = 60_000

/** An instance that never flapped. */
export const steady: Flapping = { penalty: 0, at: 0, held: false }

/** What somebody else's penalty comes to, or that of an earlier run of this process. */
export function rememberedFlapping(penalty: number | undefined, failing: boolean, now: number): Flapping {
  if (penalty === undefined || !(penalty > 0)) return steady
  return { penalty: Math.min(failing ? mostPenalty : releaseBelow, penalty), at: now, held: failing && penalty >= suppressAbove }
}

/** In which time a penalty falls by half: four cycles, but 15 s at least and 60 s at most: whoever is asked rarely changes rarely, and is not worth an outage. */
export function halfLifeMs(check: Pick<Check, "frequencySeconds">): number {
  return Math.min(mostHalfLifeMs, Math.max(leastHalfLifeMs, check.frequencySeconds * 4000))
}

/** What is left of the penalty at `now`. */
export function penaltyAt({ penalty, at }: Flapping, now: number, halfLife: number): number {
  return penalty === 0 ? 0 : penalty * 2 ** (-Math.max(0, now - at) / halfLife)
}

/** The state after a cycle ended at `now`; `fell` says that it failed after one that did not. */
export function nextFlapping(state: Flapping, fell: boolean, now: number, halfLife: number): Flapping {
  if (!fell && state.penalty === 0) return state
  const left = penaltyAt(state, now, halfLife)
  const penalty = fell ? Math.min(mostPenalty, left + 1) : left
  const held = penalty >= suppressAbove || (state.held && penalty > releaseBelow)
  return { penalty: !held && penalty < 0.05 ? 0 : penalty, at: now, held }
}

/** How long until a held instance is released if it fails no more, ms; 0 for one that is not held. */
export function heldForMs(state: Flapping, now: number, halfLife: number): number {
  if (!state.held) return 0
  return Math.max(0, Math.log2(penaltyAt(state, now, halfLife) / releaseBelow) * halfLife)
}
