/** A scheduled callback. */
export interface Timer {
  /** Stops the callback from running; harmless afterwards and twice. */
  cancel(): void
  /** Lets the process end while this is pending. */
  unref(): Timer
}

/** Time as a parameter: everything in Meshwork that waits or measures takes one. */
export interface Clock {
  /** Wall clock, Unix milliseconds. For display and for instants that cross a process. */
  now(): number
  /** Milliseconds since an arbitrary start; never jumps. For every duration. */
  monotonic(): number
  /** Runs `callback` once, `ms` from now. */
  timer(ms: number, callback: () => void): Timer
}

/** A source of chance in [0, 1), like `Math.random`. */
export type Random = () => number

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer: (ms, callback) => new SystemTimer(setTimeout(callback, Math.min(Math.max(ms, 0), 2 ** 31 - 1))),
}

/** A class and no literal with two closures: requests make many of these. */
class SystemTimer implements Timer {
  readonly #handle: NodeJS.Timeout

  constructor(handle: NodeJS.Timeout) {
    this.#handle = handle
  }

  cancel(): void {
    clearTimeout(this.#handle)
  }

  unref(): Timer {
    this.#handle.unref()
    return this
  }
}

/** The chance of this machine. */
export const systemRandom: Random = () => Math.random()

/** Resolves after `ms`, or as soon as `signal` aborts; look at `signal.aborted` afterwards. Never rejects. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      timer.cancel()
      signal?.removeEventListener("abort", done)
      resolve()
    }
    const timer = clock.timer(ms, done)
    signal?.addEventListener("abort", done, { once: true })
  })
}
