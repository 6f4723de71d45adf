import type { Check, Random } from "@meshwork/contract"

/** When the first probe of a newcomer is due, ms from now: spread over at most min(frequency, 1 s), less when few come at once. */
export function firstDueMs(check: Pick<Check, "frequencySeconds">, newcomers: number, random: Random): number {
  return Math.min(check.frequencySeconds * 1000, 1000, (newcomers - 1) * 5) * random()
}

/** By which share of the frequency two cycles may be closer together or farther apart than it says. */
const jitter = 0.05

/** What follows a probe: another one of the same cycle, or the end of the cycle and a pause. */
export type CycleStep = { next: "retry"; failed: number; afterMs: number } | { next: "conclude"; ok: boolean; afterMs: number }

/**
 * The rule of one cycle: after a failure up to `retries` more probes `retryDelaySeconds` apart, ended by the first
 * success; then `frequencySeconds`, give or take 5 %. Within these, what began late is made up for, so that a busy process does not fall behind.
 * @param failed Failed probes of this cycle before this one.
 * @param lateMs How much later than due this probe began.
 */
export function nextCycle(
  check: Pick<Check, "frequencySeconds" | "retries" | "retryDelaySeconds">,
  failed: number,
  ok: boolean,
  random: Random,
  lateMs = 0,
): CycleStep {
  if (!ok && failed < check.retries) return { next: "retry", failed: failed + 1, afterMs: check.retryDelaySeconds * 1000 }
  const periodMs = check.frequencySeconds * 1000
  const least = periodMs * (1 - jitter)
  // Who is later than that stood in a crowd, which is to disperse.
  const madeUp = lateMs > periodMs * jitter ? 0 : lateMs
  return { next: "conclude", ok, afterMs: Math.max(least, least + random() * 2 * jitter * periodMs - madeUp) }
}
