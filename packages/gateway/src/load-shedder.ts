import { performance } from "node:perf_hooks"
import type { Clock } from "@meshwork/contract"

/** Class of a request, in `X-Request-Priority`. */
export type RequestPriority = "low" | "normal" | "high"

/** How often the event loop is looked at while requests come, ms. */
const sampleMs = 20
/** Samples in a row that must be late: a pause of the garbage collector is over before anything could be done about it. */
const standingSamples = 3
/** Shares of `maxInFlight` from which `low` and `high` are refused. */
const lowShare = 0.75
const highShare = 2
/** How many times the limit the loop must lag before `normal` requests are refused for it. */
const normalLagFactor = 10
/** Share of its time that the loop may work before `low` requests are refused for it, and below which they are let in again. */
const saturated = 0.98
const relaxed = 0.93
const resting = 0.3
/** How the level moves from sample to sample. A tenth of the normal requests always passes: a lag may have causes that no refusal ends. */
const step = 0.1
/** While there is still much to do the way back is slow, else low requests would come back all at once again and again. */
const slowStep = 0.02
const mostRefused = 1.9

export interface LoadShedderOptions {
  clock: Clock
  /** Requests in flight beyond which new ones are refused; `low` ones from three quarters of it, `high` ones from twice as many. */
  maxInFlight: number
  /**
   * Standing lag of the event loop, ms, from which `low` requests are refused, as they are while the loop never rests; at ten times of it `normal`
   * ones. 0 = never.
   */
  maxLagMs: number
  /** Share of the time since it was last asked in which the event loop worked; default that of this process. */
  utilisation?: () => number
}

/** What was seen of the event loop in one interval. */
export interface LoopSample {
  /** How late a timer was. */
  lagMs: number
  /** Share of the time in which it worked. */
  busy: number
}

/** Why a request is refused. */
export interface Refusal {
  why: string
  /** Says it, at once or a little later: a caller that comes again at once must not keep the loop busy with refusals. */
  say: (answer: () => void) => void
}

/** Decides under pressure who is refused: `low` first, `high` last. Costs two comparisons while there is none. */
export class LoadShedder {
  /** Requests being served. */
  inFlight = 0
  readonly refused: Record<RequestPriority, number> = { low: 0, normal: 0, high: 0 }
  readonly #clock: Clock
  readonly #utilisation: () => number
  #limits: Record<RequestPriority, number>
  #maxLagMs: number
  /** 0: nobody is refused for the lag; up to 1 that share of `low`, beyond it all of them and that share of `normal`. */
  #level = 0
  #samples: LoopSample[] = []
  #credit: Record<RequestPriority, number> = { low: 0, normal: 0, high: 0 }
  /** Refusals to be said at the next sample. */
  #unsaid: (() => void)[] = []
  #sampling = false
  #asked = false
  #closed = false

  constructor(options: LoadShedderOptions) {
    this.#clock = options.clock
    this.#utilisation = options.utilisation ?? ownUtilisation()
    this.#maxLagMs = options.maxLagMs
    this.#limits = limitsOf(options.maxInFlight)
  }

  /** Goes by other limits from now on. */
  limit({ maxInFlight, maxLagMs }: Pick<LoadShedderOptions, "maxInFlight" | "maxLagMs">): void {
    this.#limits = limitsOf(maxInFlight)
    this.#maxLagMs = maxLagMs
    this.#level = 0
  }

  /** How late the event loop was at the last sample, ms. */
  get lagMs(): number {
    return this.#samples.at(-1)?.lagMs ?? 0
  }

  /** Whether the next request has to be asked for its priority. Tells that there is one. */
  underPressure(): boolean {
    if (!this.#sampling) this.#sample()
    this.#asked = true
    return this.inFlight >= this.#limits.low || this.#level > 0
  }

  /** Why a request of this priority is refused; undefined when it is not. Worth asking under pressure only. */
  refuses(priority: RequestPriority): Refusal | undefined {
    const tooMany = this.inFlight >= this.#limits[priority]
    if (!tooMany && this.#passes(priority)) return undefined
    this.refused[priority]++
    return tooMany ? this.#tooMany : this.#tooBusy
  }

  /** Ends looking at the event loop. */
  close(): void {
    this.#closed = true
    this.#sayAll()
  }

  readonly #tooMany: Refusal = { why: "too many requests are in flight", say: (answer) => answer() }
  readonly #tooBusy: Refusal = {
    why: "the gateway has more to do than it can",
    say: (answer) => void (this.#sampling ? this.#unsaid.push(answer) : answer()),
  }

  #sayAll(): void {
    for (const answer of this.#unsaid.splice(0)) answer()
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
    if (!this.#sampling) this.#utilisation()
    this.#sampling = true
    this.#asked = false
    const due = this.#clock.monotonic() + sampleMs
    this.#clock
      .timer(sampleMs, () => {
        this.#note({ lagMs: Math.max(0, this.#clock.monotonic() - due), busy: this.#utilisation() })
        this.#sayAll()
        if (this.#asked || this.inFlight > 0) return this.#sample()
        // Nobody asks any more: whoever comes next finds an idle gateway.
        this.#sampling = false
        this.#level = 0
        this.#samples = []
      })
      .unref()
  }

  #note(sample: LoopSample): void {
    this.#samples.push(sample)
    if (this.#samples.length > standingSamples) this.#samples.shift()
    this.#level = nextLevel(this.#level, this.#samples, this.#maxLagMs)
  }
}

/** The level after one more sample: up while the loop lags or never rests, down as soon as it does. */
export function nextLevel(level: number, samples: readonly LoopSample[], maxLagMs: number): number {
  const last = samples.at(-1)
  if (last === undefined) return level
  const normalLimit = maxLagMs * normalLagFactor
  const standing = (late: (sample: LoopSample) => boolean): boolean => samples.length >= standingSamples && samples.every(late)
  if (level < 1 && standing(({ lagMs, busy }) => lagMs > maxLagMs || busy >= saturated)) return Math.min(1, moved(level, step))
  if (level >= 1 && standing(({ lagMs }) => lagMs > normalLimit)) return Math.min(mostRefused, moved(level, step))
  if (level > 1) return last.lagMs < normalLimit ? Math.max(1, moved(level, -step)) : level
  if (last.lagMs >= maxLagMs / 2 || last.busy >= relaxed) return level
  return Math.max(0, moved(level, last.busy < resting ? -step : -slowStep))
}

/** Without what binary fractions leave over. */
const moved = (level: number, by: number): number => Math.round((level + by) * 1000) / 1000

function ownUtilisation(): () => number {
  let before = performance.eventLoopUtilization()
  return () => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    before = now
    return utilization
  }
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
  return { low: Math.ceil(maxInFlight * lowShare), normal: maxInFlight, high: maxInFlight * highShare }
}
