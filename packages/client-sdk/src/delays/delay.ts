import type { Random } from "@meshwork/contract"

/** What a delay may go by. */
export interface DelayCall {
  readonly service: string
  readonly method: string
  /** The path as a template, parameters not filled in. */
  readonly path: string
  readonly random: Random
  /** Monotonic milliseconds. */
  readonly now: number
}

/** How long to wait before the attempt after the `attempt`-th (from 1), ms. */
export interface Delay {
  (attempt: number, call: DelayCall): number
  /** Told how long an attempt took to its response headers; not `finished`: it was given up after so long. */
  learn?(call: DelayCall, ms: number, finished: boolean): void
}

/** Always the same. */
export function constantDelay(ms: number): Delay {
  requireDuration("ms", ms)
  return () => ms
}

export interface LinearBackoffOptions {
  /** Added to every delay, ms. Default 0. */
  minMs?: number
  /** Added once per attempt so far, ms. Default 50. */
  multiplierMs?: number
  /** Share of the delay by which it may differ either way, 0 to 1. Default 0.2. */
  jitter?: number
}

/** Grows by the same amount with every attempt. */
export function linearBackoff(options: LinearBackoffOptions = {}): Delay {
  const { minMs = 0, multiplierMs = 50, jitter = 0.2 } = options
  requireDuration("minMs", minMs)
  requireDuration("multiplierMs", multiplierMs)
  if (!(jitter >= 0 && jitter <= 1)) throw new RangeError(`jitter lies between 0 and 1, found ${jitter}`)
  return (attempt, { random }) => (minMs + attempt * multiplierMs) * (1 + jitter * (2 * random() - 1))
}

export interface ExponentialBackoffOptions {
  /** Upper bound of the first delay, ms. */
  baseMs: number
  /** Upper bound of every delay, ms. */
  maxMs: number
  /** `full`: anything from 0 to the bound (Brooker, "Exponential Backoff And Jitter", 2015); `none`: the bound itself. Default full. */
  jitter?: "full" | "none"
}

/** Doubles its bound with every attempt. */
export function exponentialBackoff(options: ExponentialBackoffOptions): Delay {
  const { baseMs, maxMs, jitter = "full" } = options
  requireDuration("baseMs", baseMs)
  requireDuration("maxMs", maxMs)
  return (attempt, { random }) => {
    const bound = Math.min(maxMs, baseMs * 2 ** (attempt - 1))
    return jitter === "full" ? bound * random() : bound
  }
}

/** RangeError where `ms` is no duration. */
export function requireDuration(name: string, ms: number): void {
  if (!(ms >= 0)) throw new RangeError(`${name} is a duration in milliseconds, found ${ms}`)
}
