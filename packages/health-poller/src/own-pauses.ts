import type { Clock, Timer } from "@meshwork/contract"

const pulseMs = 100
/** How late the pulse may be before it tells that this process stood still. */
const slackMs = 650

/** Knows when this process stood still: stopped, swapped out, or busy with something else. Looks only between `begin` and `end`. */
export class OwnPauses {
  readonly #clock: Clock
  readonly #onPulse: (now: number) => void
  #timer: Timer | undefined
  #pulseAt = 0
  #endedAt = Number.NEGATIVE_INFINITY

  /** @param onPulse called at every pulse, ten times a second. */
  constructor(clock: Clock, onPulse: (now: number) => void) {
    this.#clock = clock
    this.#onPulse = onPulse
  }

  /** Begins to look. Harmless when it does already. */
  begin(): void {
    if (this.#timer !== undefined) return
    this.#pulseAt = this.#clock.monotonic()
    this.#beat()
  }

  end(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Whether a pause ended after `since`. Sees one that is just over even before the timers of this process do. */
  since(since: number): boolean {
    this.#look()
    return this.#endedAt >= since
  }

  #look(): number {
    const now = this.#clock.monotonic()
    if (this.#timer !== undefined && now - this.#pulseAt > pulseMs + slackMs) this.#endedAt = now
    this.#pulseAt = now
    return now
  }

  #beat(): void {
    this.#timer = this.#clock.timer(pulseMs, () => {
      this.#onPulse(this.#look())
      if (this.#timer !== undefined) this.#beat()
    })
  }
}
