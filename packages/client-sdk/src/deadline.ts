import { type Clock, systemClock, type Timer } from "@meshwork/contract"

/** The instant until which a call, with everything it causes, has to be done. Monotonic: wall clock jumps do not move it. */
export class Deadline {
  readonly #clock: Clock
  readonly #at: number

  private constructor(clock: Clock, at: number) {
    this.#clock = clock
    this.#at = at
  }

  /** A deadline `ms` from now; RangeError when negative or no number. */
  static after(ms: number, clock: Clock = systemClock): Deadline {
    if (!(ms >= 0)) throw new RangeError(`a deadline lies in the future, found ${ms} ms`)
    return new Deadline(clock, clock.monotonic() + ms)
  }

  /** The one that ends first; undefined when there is none. */
  static earliest(...deadlines: readonly (Deadline | undefined)[]): Deadline | undefined {
    let first: Deadline | undefined
    for (const deadline of deadlines) if (deadline && (!first || deadline.remainingMs < first.remainingMs)) first = deadline
    return first
  }

  /** What is left, ms; 0 when it has passed. */
  get remainingMs(): number {
    return Math.max(0, this.#at - this.#clock.monotonic())
  }

  get expired(): boolean {
    return this.remainingMs === 0
  }

  /** Runs `callback` when it passes. */
  timer(callback: () => void): Timer {
    return this.#clock.timer(this.remainingMs, callback)
  }

  /** A deadline at the n-th part of what remains; RangeError below 1. */
  split(n: number): Deadline {
    if (!(n >= 1)) throw new RangeError(`a deadline is split into at least 1 part, found ${n}`)
    return new Deadline(this.#clock, this.#clock.monotonic() + this.remainingMs / n)
  }
}

/** How much of a call's deadline one of its attempts gets. */
export type DeadlineShare = (deadline: Deadline, index: number, attempts: number) => Deadline

/** Every attempt may use all that is left. */
export function passThrough(): DeadlineShare {
  return (deadline) => deadline
}

/**
 * Every attempt gets an equal share of what is left, the last one all of it.
 * @param count shares to divide into, when there may be more attempts than are worth a share; RangeError below 2
 */
export function split(count?: number): DeadlineShare {
  if (count !== undefined && !(count >= 2)) throw new RangeError(`a deadline is split into at least 2 parts, found ${count}`)
  return (deadline, index, attempts) => {
    const left = Math.min(count ?? attempts, attempts) - index
    return left > 1 ? deadline.split(left) : deadline
  }
}
