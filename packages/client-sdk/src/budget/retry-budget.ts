export interface RetryBudgetOptions {
  /** Tokens it holds at most. Default 10. */
  capacity?: number
  /** Tokens at the start. Default `capacity`. */
  initial?: number
  /** Tokens for every ordinary request. Default 0.18. */
  perRequest?: number
  /** Tokens per second while fewer than 5 requests a second come. Default 1. */
  perSecond?: number
}

/** What retries and hedges are paid from, so that they never become most of the traffic of a service in trouble. */
export interface RetryBudget {
  /** An ordinary request begins. @param now monotonic ms */
  earn(now: number): void
  /** Takes `cost` tokens, or none and says false. @param now monotonic ms */
  spend(cost: number, now: number): boolean
  /** Takes `cost` tokens for what was repeated elsewhere already, into debt where need be. @param now monotonic ms */
  charge(cost: number, now: number): void
  /** Tokens at hand; below 0 in debt. */
  readonly tokens: number
}

/** Tokens a retry costs. */
export const retryCost = 1
/** Tokens a hedge costs: a second request while the first is still under way. */
export const hedgeCost = 4

const busyCount = 5
const busyWindowMs = 1000

/**
 * A bucket of tokens: with the defaults retries stay under 20 % and hedges under 5 % of 1,000 requests (after Finagle's RetryBudget).
 * RangeError for negative numbers.
 */
export function retryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  return new TokenBucket(options)
}

class TokenBucket implements RetryBudget {
  readonly #capacity: number
  readonly #perRequest: number
  readonly #perSecond: number
  /** Times of the latest requests, a ring. */
  readonly #arrivals = new Float64Array(busyCount).fill(Number.NEGATIVE_INFINITY)
  #next = 0
  #tokens: number
  #filledAt: number | undefined

  constructor({ capacity = 10, initial = capacity, perRequest = 0.18, perSecond = 1 }: RetryBudgetOptions) {
    for (const [name, value] of Object.entries({ capacity, initial, perRequest, perSecond })) {
      if (!(value >= 0)) throw new RangeError(`${name} is a number of tokens from 0, found ${value}`)
    }
    this.#capacity = capacity
    this.#perRequest = perRequest
    this.#perSecond = perSecond
    this.#tokens = Math.min(initial, capacity)
  }

  get tokens(): number {
    return this.#tokens
  }

  earn(now: number): void {
    this.#fill(now)
    this.#add(this.#perRequest)
    this.#arrivals[this.#next] = now
    this.#next = (this.#next + 1) % busyCount
  }

  spend(cost: number, now: number): boolean {
    this.#fill(now)
    if (this.#tokens < cost) return false
    this.#tokens -= cost
    return true
  }

  charge(cost: number, now: number): void {
    this.#fill(now)
    this.#tokens = Math.max(-this.#capacity, this.#tokens - cost)
  }

  #fill(now: number): void {
    const passedMs = now - (this.#filledAt ?? now)
    this.#filledAt = now
    const fifthLast = this.#arrivals[this.#next] ?? Number.NEGATIVE_INFINITY
    if (now - fifthLast >= busyWindowMs) this.#add((passedMs / 1000) * this.#perSecond)
  }

  #add(tokens: number): void {
    this.#tokens = Math.min(this.#capacity, this.#tokens + tokens)
  }
}
