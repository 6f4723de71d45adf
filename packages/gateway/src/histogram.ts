const growth = 1.02
const smallestMs = 0.01
const logGrowth = Math.log(growth)
const buckets = Math.ceil(Math.log(86_400_000 / smallestMs) / logGrowth) + 2

/** A histogram as it is kept over a restart: pairs of bucket and count, flat. */
export interface SavedHistogram {
  sum: number
  counts: number[]
  /** Which buckets these are; others cannot be added to. */
  scheme: string
}

const scheme = `${smallestMs} ${growth}`

const none = new Uint32Array(0)

/** Counts durations from 10 us to a day in buckets that grow by 2 %, so that a percentile is off by at most 1 %. */
export class Histogram {
  /** Made with the first duration: of thousands of routes most are hardly asked for. */
  #counts: Uint32Array = none
  #count = 0
  #sum = 0

  record(ms: number): void {
    if (this.#count === 0) this.#begin()
    const bucket = bucketOf(ms)
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#count++
    this.#sum += ms
  }

  /** Adds everything another one has counted. */
  add(other: Histogram): void {
    if (other.#count === 0) return
    this.#begin()
    for (let bucket = 0; bucket < buckets; bucket++) this.#counts[bucket] = (this.#counts[bucket] ?? 0) + (other.#counts[bucket] ?? 0)
    this.#count += other.#count
    this.#sum += other.#sum
  }

  #begin(): void {
    if (this.#counts.length === 0) this.#counts = new Uint32Array(buckets)
  }

  save(): SavedHistogram {
    const counts: number[] = []
    for (const [bucket, count] of this.#counts.entries()) if (count > 0) counts.push(bucket, count)
    return { sum: this.#sum, counts, scheme }
  }

  /** Adds what was saved; nothing where it was counted in other buckets. */
  restore(saved: SavedHistogram): void {
    if (saved.scheme !== scheme || saved.counts.length === 0) return
    this.#begin()
    for (let index = 0; index + 1 < saved.counts.length; index += 2) {
      const [bucket = 0, count = 0] = saved.counts.slice(index, index + 2)
      if (bucket >= buckets) continue
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count
      this.#count += count
    }
    this.#sum += saved.sum
  }

  /** How many durations do not exceed each of some limits, ms, rising; exact to 2 % of a limit. */
  countsUpTo(limits: readonly number[]): number[] {
    let bucket = 0
    let sum = 0
    return limits.map((limit) => {
      const last = bucketOf(limit)
      for (; bucket <= last; bucket++) sum += this.#counts[bucket] ?? 0
      return sum
    })
  }

  /** Sum of all durations, ms. */
  get sum(): number {
    return this.#sum
  }

  get count(): number {
    return this.#count
  }

  /** Mean, ms; 0 when empty. */
  get average(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count
  }

  /** The duration that `share` (0 to 1) of all do not exceed, ms; 0 when empty. */
  percentile(share: number): number {
    if (this.#count === 0) return 0
    let left = Math.max(1, Math.ceil(share * this.#count))
    for (let bucket = 0; bucket < buckets; bucket++) {
      left -= this.#counts[bucket] ?? 0
      if (left <= 0) return bucket === 0 ? smallestMs : smallestMs * growth ** (bucket - 0.5)
    }
    return smallestMs * growth ** buckets
  }
}

function bucketOf(ms: number): number {
  return ms <= smallestMs ? 0 : Math.min(buckets - 1, 1 + Math.floor(Math.log(ms / smallestMs) / logGrowth))
}
