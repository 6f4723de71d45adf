import type { Clock, Timer } from "../clock.ts"

interface Pending {
  at: number
  order: number
  callback: () => void
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #elapsed = 0
  #wall: number
  #order = 0
  readonly #pending = new Set<Pending>()

  /** @param wall Unix milliseconds at which the wall clock starts. */
  constructor(wall = 1_700_000_000_000) {
    this.#wall = wall
  }

  now(): number {
    return this.#wall + this.#elapsed
  }

  monotonic(): number {
    return this.#elapsed
  }

  /** How many timers are waiting. */
  get pendingTimers(): number {
    return this.#pending.size
  }

  timer(ms: number, callback: () => void): Timer {
    const entry: Pending = { at: this.#elapsed + Math.max(ms, 0), order: this.#order++, callback }
    this.#pending.add(entry)
    const timer: Timer = { cancel: () => void this.#pending.delete(entry), unref: () => timer }
    return timer
  }

  /** Moves both clocks forward, running due timers in order and letting promises settle around each. */
  async advance(ms: number): Promise<void> {
    const target = this.#elapsed + ms
    await settle()
    for (let next = this.#next(target); next; next = this.#next(target)) {
      this.#pending.delete(next)
      this.#elapsed = Math.max(this.#elapsed, next.at)
      next.callback()
      await settle()
    }
    this.#elapsed = target
    await settle()
  }

  /** Moves the clocks without running a timer, as a paused process sees it; due timers run at the next `advance`. */
  pause(ms: number): void {
    this.#elapsed += ms
  }

  /** Sets the wall clock apart from the monotonic one, as an administrator or NTP does. */
  jumpWall(ms: number): void {
    this.#wall += ms
  }

  #next(limit: number): Pending | undefined {
    let best: Pending | undefined
    for (const entry of this.#pending) {
      if (entry.at > limit) continue
      if (!best || entry.at < best.at || (entry.at === best.at && entry.order < best.order)) best = entry
    }
    return best
  }
}

/** Lets every promise that can settle without time passing do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
