import { type Clock, MeshError, type Random, sleep } from "@meshwork/contract"
import type { Deadline } from "../deadline.ts"
import type { Strategy } from "../strategies/strategy.ts"

/** How one attempt ended. */
export type AttemptOutcome<R> =
  | { kind: "accepted"; response: R }
  /** An answer that asks to be tried again, perhaps not before `retryAfterMs`. */
  | { kind: "rejected"; response: R; retryAfterMs?: number }
  /** No answer. `final` ends the call whatever the strategy says. */
  | { kind: "failed"; error: MeshError; final?: boolean }

export interface RunOptions<R> {
  strategy: Strategy
  deadline: Deadline
  /** Less than this left, ms: nothing is sent. */
  lowTimeoutMs: number
  signal: AbortSignal
  clock: Clock
  random: Random
  /** Makes attempt `index` (from 0) within its own deadline. Never rejects. */
  attempt(index: number, deadline: Deadline): Promise<AttemptOutcome<R>>
  /** Frees an answer that a later one replaced. */
  discard(response: R): void
}

/**
 * Runs attempts one after the other as a strategy says. Resolves to the first accepted answer, else to the last one that came over the wire;
 * rejects with the last error, with `deadline_exceeded` when there was no time to try, or with `aborted`.
 */
export async function runAttempts<R>(options: RunOptions<R>): Promise<R> {
  const { strategy, deadline, lowTimeoutMs, signal, clock, random } = options
  let last: R | undefined
  let error = new MeshError("deadline_exceeded", `only ${Math.floor(deadline.remainingMs)} ms are left, nothing was sent`)
  for (let index = 0; index < strategy.attempts; index++) {
    if (signal.aborted) break
    if (deadline.remainingMs < lowTimeoutMs) break
    const outcome = await options.attempt(index, strategy.share(deadline, index, strategy.attempts))
    if (outcome.kind !== "failed" && last !== undefined) options.discard(last)
    if (outcome.kind === "accepted") return outcome.response
    if (outcome.kind === "rejected") last = outcome.response
    else error = outcome.error
    if (outcome.kind === "failed" && (outcome.final || outcome.error.retry === "never")) break
    if (index + 1 === strategy.attempts) break
    const asked = outcome.kind === "rejected" ? (outcome.retryAfterMs ?? 0) : 0
    const delay = Math.max(strategy.delay(index + 1, random), asked)
    if (deadline.remainingMs < delay + lowTimeoutMs) break
    if (delay > 0) await sleep(clock, delay, signal)
  }
  if (signal.aborted) {
    if (last !== undefined) options.discard(last)
    throw new MeshError("aborted", "the caller gave up", { cause: signal.reason })
  }
  if (last !== undefined) return last
  // The caller's time ran out while waiting for an answer: that is what the caller has to know.
  if (error.code === "attempt_timeout" && deadline.remainingMs < lowTimeoutMs)
    throw new MeshError("deadline_exceeded", error.message, { cause: error })
  throw error
}
