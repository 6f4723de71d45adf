const growth = 1.1
const buckets = 128

/** What was seen in one half of a window: waits that ended, and waits given up, by length. */
interface Half {
  ended: Uint32Array
  givenUp: Uint32Array
  count: number
}

const emptyHalf = (): Half => ({ ended: new Uint32Array(buckets), givenUp: new Uint32Array(buckets), count: 0 })

/**
 * Waiting times of the last `windowMs`, in buckets 10 % apart from 1 ms to 3 minutes. Those given up count as "at least so long" (product-limit
 * estimator: Kaplan and Meier, 1958).
 */
export class LatencyWindow {
  readonly #halfMs: number
  #current: Half = emptyHalf()
  #previous: Half = emptyHalf()
  #since: number

  constructor(windowMs: number, now: number) {
    this.#halfMs = windowMs / 2
    this.#since = now
  }

  /** How many waits it knows. */
  count(now: number): number {
    this.#turn(now)
    return this.#current.count + this.#previous.count
  }

  add(ms: number, finished: boolean, now: number): void {
    this.#turn(now)
    const bucket = bucketOf(ms)
    const side = finished ? this.#current.ended : this.#current.givenUp
    side[bucket] = (side[bucket] ?? 0) + 1
    this.#current.count++
  }

  /** The wait within which that share of answers comes, ms; Infinity when too many were given up to tell. */
  percentile(share: number, now: number): number {
    let open = this.count(now)
    let pending = 1
    for (let bucket = 0; bucket < buckets && open > 0; bucket++) {
      const ended = (this.#current.ended[bucket] ?? 0) + (this.#previous.ended[bucket] ?? 0)
      pending *= 1 - ended / open
      // Half a sample of a million: sums of doubles miss round shares by less.
      if (1 - pending >= share - 5e-7) return growth ** (bucket + 0.5)
      open -= ended + (this.#current.givenUp[bucket] ?? 0) + (this.#previous.givenUp[bucket] ?? 0)
    }
    return Number.POSITIVE_INFINITY
  }

  #turn(now: number): void {
    const age = now - this.#since
    if (age < this.#halfMs) return
    this.#previous = age < 2 * this.#halfMs ? this.#current : emptyHalf()
    this.#current = emptyHalf()
    this.#since = now
  }
}

function bucketOf(ms: number): number {
  return ms <= 1 ? 0 : Math.min(buckets - 1, Math.floor(Math.log(ms) / Math.log(growth)))
}
