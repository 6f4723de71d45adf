import type { Clock } from "@meshwork/contract"

const tolerableGapMs = 1500

/**
 * Monotonic time without the pauses of this process: what leases are measured with.
 * A process that was stopped, or whose machine slept, did not hear heartbeats meanwhile and must not blame the instances.
 */
export class LeaseClock {
  readonly #clock: Clock
  #last: number
  #paused = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#last = clock.monotonic()
  }

  /** Milliseconds this process has been awake. Must be called at least once a second, which the expiry tick does. */
  now(): number {
    const monotonic = this.#clock.monotonic()
    const gap = monotonic - this.#last
    this.#last = monotonic
    if (gap > tolerableGapMs) this.#paused += gap
    return monotonic - this.#paused
  }
}
