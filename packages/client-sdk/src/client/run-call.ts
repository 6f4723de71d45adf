import { type Clock, MeshError, type Timer } from "@meshwork/contract"
import { hedgeCost, type RetryBudget, retryCost } from "../budget/retry-budget.ts"
import type { Deadline } from "../deadline.ts"
import type { Delay, DelayCall } from "../delays/delay.ts"
import type { Strategy } from "../strategies/strategy.ts"

/** How one attempt ended. */
export type AttemptOutcome<R> =
  | { kind: "accepted"; response: R }
  /** An answer that asks to be tried again, perhaps not before `retryAfterMs`. */
  | { kind: "rejected"; response: R; retryAfterMs?: number }
  /** No answer. `final` ends the call whatever the strategy says. */
  | { kind: "failed"; error: MeshError; final?: boolean }

/** One call: what its strategy may do, and within which bounds. */
export interface CallPlan<R> {
  readonly strategy: Strategy
  readonly deadline: Deadline
  /** Less than this left, ms: nothing is sent. */
  readonly lowTimeoutMs: number
  readonly clock: Clock
  /** The caller's. */
  readonly signal: AbortSignal | undefined
  /** Pays for every attempt after the first; none: they are free. */
  readonly budget: RetryBudget | undefined
  /** What delays go by. */
  readonly about: DelayCall
  /** Makes an attempt within its own deadline; `signal` aborts when its answer is of no use any more. */
  attempt(deadline: Deadline, signal: AbortSignal | undefined): Promise<AttemptOutcome<R>>
  /** Hears of retries, hedges and an empty budget. */
  readonly observer?: RunObserver | undefined
  /** Frees an answer that nobody gets. */
  discard(response: R): void
}

/** What a run tells while it goes on. */
export interface RunObserver {
  retry(): void
  hedge(won: boolean): void
  budgetExhausted(): void
}

/**
 * Makes attempts as a strategy says. Resolves to the first accepted answer, else to the last one that came over the wire; rejects with the last
 * error, with `deadline_exceeded` when time ran out before any answer, or at once with `aborted`.
 */
export function runCall<R>(plan: CallPlan<R>): Promise<R> {
  return new Promise((resolve, reject) => new CallRun(plan, resolve, reject).begin())
}

class CallRun<R> {
  readonly #plan: CallPlan<R>
  readonly #resolve: (response: R) => void
  readonly #reject: (error: MeshError) => void
  /** Attempts started in this round. */
  #started = 0
  #round = 1
  #underWay = 0
  /** Attempts started beside others. */
  #hedges = 0
  /** Of hedged attempts under way. */
  readonly #cancels = new Set<AbortController>()
  #timer: Timer | undefined
  #last: R | undefined
  #error: MeshError | undefined
  /** Until then servers asked to be left alone. */
  #notBefore = 0
  /** Nothing more is started. */
  #closed = false
  #over = false

  constructor(plan: CallPlan<R>, resolve: (response: R) => void, reject: (error: MeshError) => void) {
    this.#plan = plan
    this.#resolve = resolve
    this.#reject = reject
  }

  begin(): void {
    const { signal, budget, clock } = this.#plan
    if (signal?.aborted) return this.#onAbort()
    signal?.addEventListener("abort", this.#onAbort, { once: true })
    budget?.earn(clock.monotonic())
    this.#start()
  }

  readonly #start = (): void => this.#launch(false)

  #launch(hedge: boolean): void {
    const { strategy, deadline, lowTimeoutMs, signal } = this.#plan
    if (deadline.remainingMs < lowTimeoutMs) return this.#tooLate()
    const share = strategy.share(deadline, this.#started++, strategy.attempts)
    let cancel: AbortController | undefined
    let useless = signal
    if (strategy.hedged) {
      cancel = new AbortController()
      this.#cancels.add(cancel)
      useless = signal ? AbortSignal.any([signal, cancel.signal]) : cancel.signal
    }
    this.#underWay++
    if (hedge) this.#hedges++
    void this.#attempt(share, useless, cancel, hedge)
    if (strategy.hedged) this.#scheduleHedge(this.#wait(strategy.delay))
  }

  async #attempt(share: Deadline, signal: AbortSignal | undefined, cancel: AbortController | undefined, hedge: boolean): Promise<void> {
    try {
      this.#settle(await this.#plan.attempt(share, signal), cancel, hedge)
    } catch (thrown) {
      this.#fault(thrown)
    }
  }

  #later(wait: number, work: () => void): void {
    this.#timer = this.#plan.clock.timer(wait, () => {
      try {
        work()
      } catch (thrown) {
        this.#fault(thrown)
      }
    })
  }

  /** Something the user plugged in (a delay, a transport, a balancer) threw: that ends the call. */
  #fault(thrown: unknown): void {
    this.#finish()
    if (this.#last !== undefined) this.#plan.discard(this.#last)
    this.#reject(MeshError.from(thrown))
  }

  #settle(outcome: AttemptOutcome<R>, cancel: AbortController | undefined, hedge: boolean): void {
    this.#underWay--
    if (cancel) this.#cancels.delete(cancel)
    if (this.#over) {
      if (outcome.kind !== "failed") this.#plan.discard(outcome.response)
      return
    }
    if (outcome.kind === "failed") {
      this.#error = outcome.error
      this.#closed ||= outcome.final === true || outcome.error.retry === "never"
    } else {
      if (this.#last !== undefined) this.#plan.discard(this.#last)
      this.#last = outcome.response
      if (outcome.kind === "accepted") {
        this.#finish(hedge)
        return this.#resolve(outcome.response)
      }
      if (outcome.retryAfterMs) this.#notBefore = Math.max(this.#notBefore, this.#plan.clock.monotonic() + outcome.retryAfterMs)
    }
    if (this.#underWay === 0) this.#next()
  }

  /** Every attempt so far was rejected. */
  #next(): void {
    this.#timer?.cancel()
    const { strategy, budget, clock } = this.#plan
    const again = this.#started < strategy.attempts
    if (this.#closed || (!again && strategy.repeat === undefined)) return this.#end()
    const wait = this.#wait(again ? (strategy.hedged ? undefined : strategy.delay) : strategy.repeat, again ? this.#started : this.#round)
    if (!this.#fits(wait)) return this.#end()
    if (budget && !budget.spend(retryCost, clock.monotonic())) {
      this.#plan.observer?.budgetExhausted()
      return this.#end()
    }
    this.#plan.observer?.retry()
    if (!again) {
      this.#started = 0
      this.#round++
    }
    if (wait > 0) this.#later(wait, this.#start)
    else this.#start()
  }

  #scheduleHedge(wait: number): void {
    this.#timer?.cancel()
    if (this.#closed || this.#started >= this.#plan.strategy.attempts || !this.#fits(wait)) return
    this.#later(wait, this.#hedge)
  }

  readonly #hedge = (): void => {
    const wait = this.#wait(undefined)
    if (wait > 0) return this.#scheduleHedge(wait)
    const { budget, clock, deadline, lowTimeoutMs } = this.#plan
    if (this.#closed || deadline.remainingMs < lowTimeoutMs) return
    if (budget === undefined || budget.spend(hedgeCost, clock.monotonic())) this.#launch(true)
    else this.#plan.observer?.budgetExhausted()
  }

  /** Time to the next attempt: as long as the delay says, and not before servers asked for it. */
  #wait(delay: Delay | undefined, attempt: number = this.#started): number {
    const ms = delay === undefined ? 0 : delay(attempt, this.#plan.about)
    return this.#notBefore === 0 ? ms : Math.max(ms, this.#notBefore - this.#plan.clock.monotonic())
  }

  #fits(wait: number): boolean {
    return this.#plan.deadline.remainingMs >= wait + this.#plan.lowTimeoutMs
  }

  #tooLate(): void {
    this.#closed = true
    const cause = this.#error
    const left = Math.floor(this.#plan.deadline.remainingMs)
    this.#error = new MeshError("deadline_exceeded", `only ${left} ms are left, nothing more was sent`, cause ? { cause } : {})
    if (this.#underWay === 0) this.#end()
  }

  #end(): void {
    this.#finish()
    const { deadline, lowTimeoutMs } = this.#plan
    if (this.#last !== undefined) return this.#resolve(this.#last)
    const error = this.#error ?? new MeshError("internal", "a strategy made no attempt")
    // The caller's time ran out while waiting for an answer: that is what the caller has to know.
    const late = error.code === "attempt_timeout" && deadline.remainingMs < lowTimeoutMs
    this.#reject(late ? new MeshError("deadline_exceeded", error.message, { cause: error }) : error)
  }

  readonly #onAbort = (): void => {
    this.#finish()
    if (this.#last !== undefined) this.#plan.discard(this.#last)
    this.#reject(new MeshError("aborted", "the caller gave up", { cause: this.#plan.signal?.reason }))
  }

  /** Stops whatever still waits or runs. */
  #finish(wonByHedge = false): void {
    if (this.#over) return
    for (let hedge = 0; hedge < this.#hedges; hedge++) this.#plan.observer?.hedge(wonByHedge && hedge === 0)
    this.#over = true
    this.#timer?.cancel()
    this.#plan.signal?.removeEventListener("abort", this.#onAbort)
    for (const cancel of this.#cancels) cancel.abort()
  }
}
