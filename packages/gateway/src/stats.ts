import { Histogram } from "./histogram.ts"
import type { Route } from "./route-settings.ts"

/** Counts and latencies as `/stats` shows them. */
export interface StatsView {
  requests_count: { success: number; error: number }
  latency_ms: { average: number; p95: number; p99: number }
}

export interface GatewayStats extends StatsView {
  routes: Record<string, StatsView & { service: string }>
}

/** What was counted of one route since the start. */
export interface RouteCounts {
  readonly route: string
  readonly service: string
  readonly success: number
  readonly error: number
  /** Answers by the hundreds of their status: index 2 counts 2xx; 499, a caller that went away, counts as 4. */
  readonly statuses: readonly number[]
  readonly latency: Histogram
}

/** Counts of one route, or of all. Success is 2xx, 3xx and a switch of protocols; everything else is an error. */
class Counter {
  success = 0
  error = 0
  readonly statuses: number[] = [0, 0, 0, 0, 0, 0]
  readonly latency: Histogram = new Histogram()

  record(status: number, ms: number, routed: boolean): void {
    const hundreds = Math.floor(status / 100)
    this.statuses[hundreds] = (this.statuses[hundreds] ?? 0) + 1
    if ((status >= 200 && status < 400) || status === 101) this.success++
    else this.error++
    if (routed) this.latency.record(ms)
  }

  view(): StatsView {
    const round = (ms: number): number => Math.round(ms * 1000) / 1000
    const { average } = this.latency
    return {
      requests_count: { success: this.success, error: this.error },
      latency_ms: { average: round(average), p95: round(this.latency.percentile(0.95)), p99: round(this.latency.percentile(0.99)) },
    }
  }
}

/** The statistics of a gateway: bounded by its routes. */
export class Stats {
  readonly #all = new Counter()
  readonly #routes: ReadonlyMap<Route, Counter>

  constructor(routes: readonly Route[]) {
    this.#routes = new Map(routes.map((route) => [route, new Counter()]))
  }

  /** @param status of the answer; 499 when the caller went away before one */
  record(route: Route | undefined, status: number, ms: number): void {
    this.#all.record(status, ms, route !== undefined)
    if (route) this.#routes.get(route)?.record(status, ms, true)
  }

  /** The live counts of every route; read them at once. */
  counts(): RouteCounts[] {
    return [...this.#routes].map(([{ name, service }, counter]) => ({
      route: name,
      service,
      success: counter.success,
      error: counter.error,
      statuses: counter.statuses,
      latency: counter.latency,
    }))
  }

  view(): GatewayStats {
    const routes = Object.fromEntries([...this.#routes].map(([route, counter]) => [route.name, { service: route.service, ...counter.view() }]))
    return { ...this.#all.view(), routes }
  }
}
