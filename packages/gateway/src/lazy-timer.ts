import type { Clock, Timer } from "@meshwork/contract"

/** How early a timer may ring and still count, ms: those of Node round to milliseconds. */
const toleranceMs = 1

/**
 * A time limit that is moved often and hardly ever met. Moving it later only notes the new time: the timer under it rings when it was set to, and is set again for
 * what is left then, so that a request that goes well sets one timer for all of its limits.
 */
export class LazyTimer<Limit> {
  readonly #clock: Clock
  readonly #reached: (limit: Limit) => void
  #timer: Timer | undefined
  #ringsAt = 0
  #dueAt = 0
  #limit: Limit | undefined

  /** `reached` hears which limit was met. */
  constructor(clock: Clock, reached: (limit: Limit) => void) {
    this.#clock = clock
    this.#reached = reached
  }

  /** Replaces the limit by one that is met `ms` from now. */
  set(ms: number, limit: Limit): void {
    this.#dueAt = this.#clock.monotonic() + ms
    this.#limit = limit
    if (this.#timer !== undefined && this.#ringsAt <= this.#dueAt) return
    this.#timer?.cancel()
    this.#start(ms)
  }

  /** Takes the limit away. */
  cancel(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #start(ms: number): void {
    this.#ringsAt = this.#dueAt
    this.#timer = this.#clock.timer(ms, () => this.#rings())
  }

  #rings(): void {
    this.#timer = undefined
    const left = this.#dueAt - this.#clock.monotonic()
    if (left >= toleranceMs) this.#start(left)
    else this.#reached(this.#limit as Limit)
  }
}
