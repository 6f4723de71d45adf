import { type Delay, type DelayCall, requireDuration } from "./delay.ts"
import { LatencyWindow } from "./latency-window.ts"

export interface PercentileDelayOptions {
  /** Share of answers that are faster than the delay, between 0 and 1. Default 0.95. */
  percentile?: number
  /** Lower bound, ms. Default 50. */
  minMs?: number
  /** Upper bound, and the delay while fewer than 10 answers are known, ms. Default 10,000. */
  maxMs?: number
  /** How long an answer is remembered, at most, ms. Default 300,000. */
  windowMs?: number
}

const enough = 10
const maxTemplates = 1000
const refreshEvery = 32

interface Known {
  window: LatencyWindow
  delayMs: number
  /** Answers since the delay was reckoned. */
  fresh: number
}

/**
 * Waits as long as most answers take, learnt per service, method and path template (the last 1,000 of them), from attempts that lost too: the delay
 * for hedging after Dean and Barroso, "The Tail at Scale", 2013. RangeError for bounds that make no sense.
 */
export function percentileDelay(options: PercentileDelayOptions = {}): Delay {
  const { percentile = 0.95, minMs = 50, maxMs = 10_000, windowMs = 300_000 } = options
  if (!(percentile > 0 && percentile < 1)) throw new RangeError(`percentile lies strictly between 0 and 1, found ${percentile}`)
  requireDuration("minMs", minMs)
  requireDuration("windowMs", windowMs)
  if (!(maxMs >= minMs)) throw new RangeError(`maxMs is at least minMs, found ${maxMs} and ${minMs}`)
  const templates = new Map<string, Known>()

  function delay(_attempt: number, call: DelayCall): number {
    const known = templates.get(keyOf(call))
    if (known === undefined) return maxMs
    // A count below `enough` also comes of a window that has emptied.
    if (known.fresh < refreshEvery && known.delayMs < maxMs && known.window.count(call.now) >= enough) return known.delayMs
    known.fresh = 0
    const told = known.window.count(call.now) < enough ? maxMs : known.window.percentile(percentile, call.now)
    known.delayMs = Math.min(maxMs, Math.max(minMs, told))
    return known.delayMs
  }

  function learn(call: DelayCall, ms: number, finished: boolean): void {
    const key = keyOf(call)
    let known = templates.get(key)
    if (known === undefined) {
      known = { window: new LatencyWindow(windowMs, call.now), delayMs: maxMs, fresh: 0 }
      const oldest = templates.keys().next().value
      if (templates.size >= maxTemplates && oldest !== undefined) templates.delete(oldest)
      templates.set(key, known)
    }
    known.fresh++
    known.window.add(ms, finished, call.now)
  }

  return Object.assign(delay, { learn })
}

/** No name of a service and no method holds a line break. */
function keyOf({ service, method, path }: DelayCall): string {
  return `${service}\n${method}\n${path}`
}
