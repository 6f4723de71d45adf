import type { BreakerState } from "../breaker/circuit-breaker.ts"

/** One call that ended. */
export interface ObservedCall {
  service: string
  method: string
  /** The path as the caller wrote it, so with `{name}` for parameters. */
  path: string
  /** Status of the answer, or the code of the error. */
  status: string
  durationMs: number
  /** Whether a breaker answered, this client's own or one on the way. */
  breaker: boolean
}

/** One request on the wire that ended; `status` is `aborted` for one that was of no use any more. */
export type ObservedAttempt = Omit<ObservedCall, "breaker">

/** Hears what calls do; every method is called at once and must not throw. `createMetrics` of `./metrics` makes one. */
export interface ClientObserver {
  call?(call: ObservedCall): void
  attempt?(attempt: ObservedAttempt): void
  /** A rejected attempt is made again. */
  retry?(service: string): void
  /** An attempt that was started beside another one ended: as the one whose answer counts, or not. */
  hedge?(service: string, won: boolean): void
  /** A retry or a hedge was left out because the budget was empty. */
  budgetExhausted?(service: string): void
  breaker?(service: string, state: BreakerState): void
}
