import { type DeadlineShare, passThrough } from "../deadline.ts"
import { constantDelay, type Delay, linearBackoff } from "../delays/delay.ts"

/** How many attempts a call makes, and when: an answer to questions, acted upon by `runAttempts`. */
export interface Strategy {
  /** Attempts in all, the first one included. */
  readonly attempts: number
  /** Wait before the attempt after the n-th, counted from when that one was rejected. */
  readonly delay: Delay
  readonly share: DeadlineShare
}

/** A strategy per method; `default` serves the others. */
export interface StrategyByMethod {
  readonly byMethod: Readonly<Record<string, Strategy>> & { readonly default: Strategy }
}

/** One attempt, which may use the whole deadline. */
export function single(): Strategy {
  return { attempts: 1, delay: constantDelay(0), share: passThrough() }
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
  if (!(Number.isInteger(attempts) && attempts >= 1)) throw new RangeError(`attempts is a whole number from 1, found ${attempts}`)
  return { attempts, delay, share: deadline }
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
