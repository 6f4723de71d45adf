export interface CircuitBreakerOptions {
  /** How long it stays open before a probe is let through, ms. Default 5,000. */
  breakMs?: number
  /** How far back outcomes count, ms. Default 10,000. */
  samplingMs?: number
  /** Outcomes within that time below which it never opens. Default 5. */
  minimumThroughput?: number
  /** Share of failures at which it opens, strictly between 0 and 1. Default 0.5. */
  failureThreshold?: number
  /** Parts the sampling time slides in. Default 10. */
  windows?: number
}

/** `closed` lets traffic flow, `open` refuses, `half-open` lets one probe through at a time. */
export type BreakerState = "closed" | "open" | "half-open"

/** What was let through, to be handed back with its outcome. */
export interface Passage {
  /** Which opening or closing it began under. */
  readonly era: number
  readonly probe: boolean
}

/** The breaker of one instance. Times are monotonic ms. It has no timers: what it is follows from the clock whenever it is asked. */
export interface Breaker {
  state(now: number): BreakerState
  /** Whether a request may go now; changes nothing. */
  permits(now: number): boolean
  /** A request goes; in half-open it takes the place of the probe. */
  enter(now: number): Passage
  /** It ended: `aborted` by its caller counts neither way. */
  leave(passage: Passage, outcome: "success" | "failure" | "aborted", now: number): void
}

/** Makes the breaker of one instance; `changed` hears of every change of state. */
export type CircuitBreaker = (changed?: (state: BreakerState) => void) => Breaker

/**
 * A breaker that opens when, over the last `samplingMs`, at least `minimumThroughput` requests ended and the share of failures reached
 * `failureThreshold` (after Nygard, Release It!, 2007). RangeError for numbers that are not positive, or a threshold that is not between 0 and 1.
 */
export function circuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  const { breakMs = 5000, samplingMs = 10_000, minimumThroughput = 5, failureThreshold = 0.5, windows = 10 } = options
  for (const [name, value] of Object.entries({ breakMs, samplingMs, minimumThroughput, windows })) {
    if (!(value > 0 && Number.isFinite(value))) throw new RangeError(`${name} is a number above 0, found ${value}`)
  }
  if (!Number.isInteger(windows)) throw new RangeError(`windows is a whole number, found ${windows}`)
  if (!(failureThreshold > 0 && failureThreshold < 1)) throw new RangeError(`failureThreshold lies between 0 and 1, found ${failureThreshold}`)
  const settings = { breakMs, samplingMs, minimumThroughput, failureThreshold, windows }
  return (changed = () => {}) => new SampledBreaker(settings, changed)
}

class SampledBreaker implements Breaker {
  readonly #settings: Required<CircuitBreakerOptions>
  readonly #changed: (state: BreakerState) => void
  readonly #window: OutcomeWindow
  #openedAt: number | undefined
  /** Grows with every opening and closing, so that what began before is told apart. */
  #era = 0
  /** What ordinary requests of this era are let through with; shared, so that none costs an object. */
  #ordinary: Passage = { era: 0, probe: false }
  #probe: { passage: Passage; since: number } | undefined

  constructor(settings: Required<CircuitBreakerOptions>, changed: (state: BreakerState) => void) {
    this.#settings = settings
    this.#changed = changed
    this.#window = new OutcomeWindow(settings.samplingMs, settings.windows)
  }

  state(now: number): BreakerState {
    if (this.#openedAt === undefined) return "closed"
    return now - this.#openedAt < this.#settings.breakMs ? "open" : "half-open"
  }

  permits(now: number): boolean {
    if (this.#openedAt === undefined) return true
    if (now - this.#openedAt < this.#settings.breakMs) return false
    // A probe that never ends does not keep its place for ever.
    return this.#probe === undefined || now - this.#probe.since >= this.#settings.breakMs
  }

  enter(now: number): Passage {
    if (this.#openedAt === undefined) return this.#ordinary
    const passage = { era: this.#era, probe: true }
    if (this.#probe === undefined) this.#changed("half-open")
    this.#probe = { passage, since: now }
    return passage
  }

  leave(passage: Passage, outcome: "success" | "failure" | "aborted", now: number): void {
    if (this.#probe?.passage === passage) this.#probe = undefined
    // What began before the last opening or closing says nothing about the time since.
    if (passage.era !== this.#era || outcome === "aborted") return
    if (passage.probe) {
      if (outcome === "failure") this.#open(now)
      else this.#close()
      return
    }
    this.#window.add(outcome === "failure", now)
    if (outcome === "success") return
    const { minimumThroughput, failureThreshold } = this.#settings
    const { total, failures } = this.#window.counts(now)
    if (total >= minimumThroughput && failures / total >= failureThreshold) this.#open(now)
  }

  #open(now: number): void {
    this.#openedAt = now
    this.#era++
    this.#probe = undefined
    this.#changed("open")
  }

  #close(): void {
    this.#openedAt = undefined
    this.#era++
    this.#ordinary = { era: this.#era, probe: false }
    this.#probe = undefined
    this.#window.clear()
    this.#changed("closed")
  }
}

/** Counts outcomes over a time that slides on in parts. */
class OutcomeWindow {
  readonly #partMs: number
  readonly #parts: { index: number; total: number; failures: number }[]

  constructor(spanMs: number, parts: number) {
    this.#partMs = spanMs / parts
    this.#parts = Array.from({ length: parts }, () => ({ index: -1, total: 0, failures: 0 }))
  }

  add(failed: boolean, now: number): void {
    const index = Math.floor(now / this.#partMs)
    const part = this.#parts[index % this.#parts.length] as { index: number; total: number; failures: number }
    if (part.index !== index) {
      part.index = index
      part.total = 0
      part.failures = 0
    }
    part.total++
    if (failed) part.failures++
  }

  counts(now: number): { total: number; failures: number } {
    const oldest = Math.floor(now / this.#partMs) - this.#parts.length
    let total = 0
    let failures = 0
    for (const part of this.#parts) {
      if (part.index <= oldest) continue
      total += part.total
      failures += part.failures
    }
    return { total, failures }
  }

  clear(): void {
    for (const part of this.#parts) part.index = -1
  }
}
