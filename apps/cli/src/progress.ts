import type { CliContext } from "./context.ts"

const patienceMs = 1000
/** Steps of one command follow each other within this time, ms. */
const togetherMs = 100

interface Waiting {
  /** Monotonic ms; when the first of the steps began that followed each other up to now. */
  since: number
  endedAt: number
  running: number
  end: () => void
}

const waiting = new WeakMap<CliContext, Waiting>()

/**
 * Does some work; says on the terminal what it is when that, or it together with the work just before it, takes longer than a second. The
 * line goes with the work, so that results stand alone. Work that runs at the same time is told once.
 */
export async function withProgress<T>(context: CliContext, what: string, work: () => Promise<T>): Promise<T> {
  const { stderr, clock } = context
  if (stderr.columns === undefined) return work()
  const now = clock.monotonic()
  const state = waiting.get(context) ?? { since: now, endedAt: now, running: 0, end: () => {} }
  waiting.set(context, state)
  if (state.running === 0) {
    if (now - state.endedAt > togetherMs) state.since = now
    let shown = false
    const timer = clock.timer(Math.max(0, patienceMs - (now - state.since)), () => {
      shown = true
      stderr.write(`${what}…`)
    })
    state.end = () => {
      timer.cancel()
      if (shown) stderr.write("\r\u001b[K")
      shown = false
    }
  }
  state.running++
  try {
    return await work()
  } catch (error) {
    // It is told now, whatever else is still under way.
    state.end()
    throw error
  } finally {
    if (--state.running === 0) {
      state.endedAt = clock.monotonic()
      state.end()
    }
  }
}
