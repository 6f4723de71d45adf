import { checkSchema, type Check } from "@meshwork/contract"
import { ManualClock, seededRandom } from "@meshwork/contract/testing"
import { createPoller } from "../create-poller.ts"
import type { Poller, PollerOptions, PollTarget, Trouble, Verdict } from "../poller.ts"
import type { ProbeResult, ProbeTarget } from "../probe.ts"

/** A probe that went well. */
export const good: ProbeResult = { outcome: "active", reason: "GET /health answered 200 in 1 ms" }
/** One that did not. */
export const bad: ProbeResult = { outcome: "unreachable", reason: "connect refused", said: "connection refused" }

/** A target whose check runs every 10 s unless told otherwise. */
export function target(id: string, check: Partial<Check> = {}, more: Partial<PollTarget> = {}): PollTarget {
  return {
    service: "payment",
    id,
    host: "10.0.0.7",
    port: 9000,
    scheme: "http",
    check: checkSchema.parse({ method: "http", path: "/health", frequencySeconds: 10, ...check }),
    health: { status: "unknown", since: 0, reason: "" },
    ...more,
  }
}

/** A poller on a clock of the test's own, and what it said and did. */
export interface PollerBench {
  clock: ManualClock
  poller: Poller
  verdicts: Verdict[]
  troubles: Trouble[]
  probes: { id: string; at: number }[]
}

/** A poller whose probes take no time, or as long as the test says. */
export function pollerBench(
  answer: (probed: ProbeTarget & { id?: string }, n: number, signal: AbortSignal) => ProbeResult | Promise<ProbeResult>,
  options: Partial<PollerOptions> = {},
): PollerBench {
  const clock = new ManualClock()
  const verdicts: Verdict[] = []
  const troubles: Trouble[] = []
  const probes: { id: string; at: number }[] = []
  const poller = createPoller({
    clock,
    random: seededRandom(1),
    onVerdict: (verdict) => verdicts.push(verdict),
    onTrouble: (trouble) => troubles.push(trouble),
    probe: async (probed, signal) => {
      probes.push({ id: (probed as PollTarget).id, at: clock.monotonic() })
      return answer(probed, probes.length, signal)
    },
    ...options,
  })
  return { clock, verdicts, troubles, probes, poller }
}

/** Ends when the probe is called off or its time limit is over, as a real one does. */
export function hang(clock: ManualClock, probed: ProbeTarget, signal: AbortSignal, more: Partial<ProbeResult> = {}): Promise<ProbeResult> {
  return new Promise((resolve) => {
    clock.timer(probed.check.timeoutSeconds * 1000, () => resolve({ outcome: "unreachable", reason: "no answer", timedOut: true, ...more }))
    signal.addEventListener("abort", () => resolve({ outcome: "fault", reason: "called off" }))
  })
}
