import type { Clock } from "@meshwork/contract"

/** Class of a request, in `X-Request-Priority`. */
export type RequestPriority = "low" | "normal" | "high"

/** How often the event loop is looked at while requests come, ms. */
const sampleMs = 20
/** Samples in a row that must be late: a pause of the garbage collector is over before anything could be done about it. */
const standingSamples = 3
/** Share of `maxInFlight` from which `low` is refused, and what `high` gets beyond it. */
const lowShare = 0.75
const highReserve = 0.1
/** How many times the limit the loop must lag before `normal` requests are refused for it. */
const normalLagFactor = 10
/** How the level moves from sample to sample. A tenth of the normal requests always passes: a lag may have causes that no refusal ends. */
const step = 0.1
const mostRefused = 1.9

export interface LoadShedderOptions {
  clock: Clock
  /** Requests in flight beyond which new ones are refused; `low` ones from three quarters of it, `high` ones beyond a tenth more. */
  maxInFlight: number
  /** Standing lag of the event loop, ms, from which `low` requests are refused, and at ten times of it `normal` ones; 0 = never. */
  maxLagMs: number
}

/** Decides under pressure who is refused: `low` first, `high` last. Costs two comparisons while there is none. */
export class LoadShedder {
  /** Requests being served. */
  inFlight = 0
  readonly refused: Record<RequestPriority, number> = { low: 0, normal: 0, high: 0 }
  readonly #clock: Clock
  #limits: Record<RequestPriority, number>
  #maxLagMs: number
  /** 0: nobody is refused for the lag; up to 1 that share of `low`, beyond it all of them and that share of `normal`. */
  #level = 0
  /** Lags of the last samples, ms. */
  #lags: number[] = []
  #credit: Record<RequestPriority, number> = { low: 0, normal: 0, high: 0 }
  #sampling = false
  #asked = false
  #closed = false

  constructor(options: LoadShedderOptions) {
    this.#clock = options.clock
    this.#maxLagMs = options.maxLagMs
    this.#limits = limitsOf(options.maxInFlight)
  }

  /** Goes by other limits from now on. */
  limit({ maxInFlight, maxLagMs }: Omit<LoadShedderOptions, "clock">): void {
    this.#limits = limitsOf(maxInFlight)
    this.#maxLagMs = maxLagMs
    this.#level = 0
  }

  /** How late the event loop was at the last sample, ms. */
  get lagMs(): number {
    return this.#lags.at(-1) ?? 0
  }

  /** Why the next request is refused; undefined when it is not. `priority` is asked for only under pressure. */
  refuses(priority: () => RequestPriority): string | undefined {
    if (!this.#sampling) this.#sample()
    this.#asked = true
    if (this.inFlight < this.#limits.low && this.#level === 0) return undefined
    const own = priority()
    const tooMany = this.inFlight >= this.#limits[own]
    if (!tooMany && this.#passes(own)) return undefined
    this.refused[own]++
    return tooMany ? "too many requests are in flight" : "the gateway has more to do than it can"
  }

  /** Ends looking at the event loop. */
  close(): void {
    this.#closed = true
  }

  /** Lets the share through that the level leaves, evenly. */
  #passes(priority: RequestPriority): boolean {
    if (priority === "high") return true
    const share = (priority === "low" ? 1 : 2) - this.#level
    if (share >= 1) return true
    const credit = this.#credit[priority] + Math.max(0, share)
    this.#credit[priority] = credit >= 1 ? credit - 1 : credit
    return credit >= 1
  }

  #sample(): void {
    if (this.#maxLagMs === 0 || this.#closed) return
    this.#sampling = true
    this.#asked = false
    const due = this.#clock.monotonic() + sampleMs
    this.#clock
      .timer(sampleMs, () => {
        this.#note(Math.max(0, this.#clock.monotonic() - due))
        if (this.#asked || this.inFlight > 0) return this.#sample()
        // Nobody asks any more: whoever comes next finds an idle gateway.
        this.#sampling = false
        this.#level = 0
        this.#lags = []
      })
      .unref()
  }

  #note(lagMs: number): void {
    this.#lags.push(lagMs)
    if (this.#lags.length > standingSamples) this.#lags.shift()
    this.#level = nextLevel(this.#level, this.#lags, this.#maxLagMs)
  }
}

/** The level after one more sample: up while a lag stands, down as soon as it is half gone. */
export function nextLevel(level: number, lags: readonly number[], maxLagMs: number): number {
  const standing = lags.length < standingSamples ? 0 : Math.min(...lags)
  const last = lags.at(-1) ?? 0
  const limit = level < 1 ? maxLagMs : maxLagMs * normalLagFactor
  if (standing > limit) return Math.min(level < 1 ? 1 : mostRefused, level + step * Math.min(4, standing / limit))
  if (level > 1) return last < limit ? Math.max(1, level - step) : level
  return last < maxLagMs / 2 ? Math.max(0, level - step) : level
}

/** The class a request says it has; `normal` when it says none that exists. */
export function priorityOf(rawHeaders: readonly string[]): RequestPriority {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    if (name.length !== 18 || name.toLowerCase() !== "x-request-priority") continue
    const value = (rawHeaders[index + 1] as string).trim().toLowerCase()
    if (value === "low" || value === "high") return value
  }
  return "normal"
}

function limitsOf(maxInFlight: number): Record<RequestPriority, number> {
  return { low: Math.ceil(maxInFlight * lowShare), normal: maxInFlight, high: maxInFlight + Math.ceil(maxInFlight * highReserve) }
}
