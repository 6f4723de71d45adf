import type { Check, Random } from "@meshwork/contract"

/** When the first probe of a newcomer is due, ms from now: spread over at most min(frequency, 1 s), less when few come at once. */
export function firstDueMs(check: Pick<Check, "frequencySeconds">, newcomers: number, random: Random): number {
  return Math.min(check.frequencySeconds * 1000, 1000, (newcomers - 1) * 5) * random()
}

/** What follows a probe: another one of the same cycle, or the end of the cycle and a pause. */
export type CycleStep = { next: "retry"; failed: number; afterMs: number } | { next: "conclude"; ok: boolean; afterMs: number }

/**
 * The rule of one cycle: after a failure up to `retries` more probes `retryDelaySeconds` apart, ended by the first
 * success; then `frequencySeconds`, give or take 5 %.
 * @param failed Failed probes of this cycle before this one.
 */
export function nextCycle(
  check: Pick<Check, "frequencySeconds" | "retries" | "retryDelaySeconds">,
  failed: number,
  ok: boolean,
  random: Random,
): CycleStep {
  if (!ok && failed < check.retries) return { next: "retry", failed: failed + 1, afterMs: check.retryDelaySeconds * 1000 }
  return { next: "conclude", ok, afterMs: check.frequencySeconds * 1000 * (0.95 + random() * 0.1) }
}
