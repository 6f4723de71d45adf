import { type DeadlineShare, passThrough } from "../deadline.ts"
import { constantDelay, type Delay, linearBackoff } from "../delays/delay.ts"

/** How many attempts a call makes, and when: an answer to questions, acted upon by `runCall`. */
export interface Strategy {
  /** Attempts in all, the first one included; with `repeat`, attempts of one round. */
  readonly attempts: number
  /** Wait before the attempt after the n-th, counted from when that one was rejected, or with `hedged` from when it was started. */
  readonly delay: Delay
  readonly share: DeadlineShare
  /** Whether an attempt may start while others are under way. */
  readonly hedged: boolean
  /** Wait after the n-th round of attempts before the next; without it there is one round. */
  readonly repeat?: Delay
}

/** A strategy per method; `default` serves the others. */
export interface StrategyByMethod {
  readonly byMethod: Readonly<Record<string, Strategy>> & { readonly default: Strategy }
}

/** One attempt, which may use the whole deadline. */
export function single(): Strategy {
  return { attempts: 1, delay: constantDelay(0), share: passThrough(), hedged: false }
}

export interface SequentialOptions {
  /** Default 3; RangeError below 1. */
  attempts?: number
  /** Default `linearBackoff()`. */
  delay?: Delay
  /** Default `passThrough()`. */
  deadline?: DeadlineShare
}

/** One attempt after the other, each on another instance, until one is accepted. */
export function sequential(options: SequentialOptions = {}): Strategy {
  const { attempts = 3, delay = linearBackoff(), deadline = passThrough() } = options
  requireAttempts(attempts)
  return { attempts, delay, share: deadline, hedged: false }
}

export interface ParallelOptions {
  /** Default 3; RangeError below 1. */
  attempts?: number
  /** From the start of one attempt to the start of the next. */
  delay: Delay
}

/**
 * Hedging: another attempt on another instance whenever the answer takes longer than the delay, or at once when every attempt so far was rejected.
 * The first accepted answer wins and the others are aborted.
 */
export function parallel(options: ParallelOptions): Strategy {
  const { attempts = 3, delay } = options
  requireAttempts(attempts)
  return { attempts, delay, share: passThrough(), hedged: true }
}

export interface UntilDeadlineOptions {
  /** Between two rounds. Default `linearBackoff()`. */
  delay?: Delay
}

/** Repeats a strategy until an answer is accepted or time, or the retry budget, has run out. */
export function untilDeadline(strategy: Strategy, options: UntilDeadlineOptions = {}): Strategy {
  return strategy.repeat ? strategy : { ...strategy, repeat: options.delay ?? linearBackoff() }
}

/** Chooses a strategy by the method of the call. */
export function byMethod(strategies: StrategyByMethod["byMethod"]): StrategyByMethod {
  return { byMethod: strategies }
}

/** The strategy for a method. */
export function strategyFor(strategy: Strategy | StrategyByMethod, method: string): Strategy {
  if (!("byMethod" in strategy)) return strategy
  return (Object.hasOwn(strategy.byMethod, method) ? strategy.byMethod[method] : undefined) ?? strategy.byMethod.default
}

function requireAttempts(attempts: number): void {
  if (!(Number.isInteger(attempts) && attempts >= 1)) throw new RangeError(`attempts is a whole number from 1, found ${attempts}`)
}
