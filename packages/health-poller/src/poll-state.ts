import { whatNext } from "./explain-verdict.ts"
import type { PollEntry } from "./poll-entry.ts"
import type { PollState } from "./poller.ts"

/** Where probing a target stands: `now` monotonic, `wall` Unix ms of the same moment. */
export function pollState(entry: PollEntry, now: number, wall: number): PollState {
  const facts = entry.facts(now)
  const { last } = entry.history
  const penalty = Math.round(facts.penalty * 10) / 10
  const soon = entry.running === undefined ? { nextAt: Math.round(wall + Math.max(0, entry.at - now)) } : {}
  return {
    since: entry.since,
    lastCheckedAt: last && last.startedAt + last.durationMs,
    lastFailureAt: entry.lastFailureAt,
    ...(last === undefined
      ? {}
      : { last: { at: last.startedAt, ms: last.durationMs, status: last.outcome, ...(last.said === undefined ? {} : { said: last.said }) } }),
    ...soon,
    passed: facts.state.passed,
    failed: facts.state.failed,
    ...(penalty === 0 ? {} : { penalty }),
    ...(facts.heldForMs === 0 ? {} : { heldUntil: Math.round(wall + facts.heldForMs) }),
    next: whatNext(facts),
  }
}
