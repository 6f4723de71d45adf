import { Histogram, type SavedHistogram } from "./histogram.ts"
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

/** Counts of one route, or of all, as they are kept over a restart. */
export interface SavedCounter {
  success: number
  error: number
  statuses: number[]
  latency: SavedHistogram
}

/** Counts of a gateway as they are kept over a restart: of everything, and of each route by its name. */
export interface SavedStats {
  all: SavedCounter
  routes: Record<string, SavedCounter>
}

/** Routes that are gone and whose counts are kept, in case they return. */
const maxDeparted = 1000

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

  save(): SavedCounter {
    return { success: this.success, error: this.error, statuses: [...this.statuses], latency: this.latency.save() }
  }

  restore({ success, error, statuses, latency }: SavedCounter): void {
    this.success += success
    this.error += error
    for (const [hundreds, count] of statuses.entries()) this.statuses[hundreds] = (this.statuses[hundreds] ?? 0) + count
    this.latency.restore(latency)
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

/** The statistics of a gateway: bounded by its routes, and a number of those that are gone. */
export class Stats {
  readonly #all = new Counter()
  /** By name: a route that returns goes on where it ended. The present ones come last. */
  readonly #counters = new Map<string, Counter>()
  /** Exchanges may end after their route is gone. */
  readonly #ofRoute = new WeakMap<Route, Counter>()
  #routes: readonly Route[] = []

  constructor(routes: readonly Route[]) {
    this.setRoutes(routes)
  }

  /** What is counted from now on by route; counts of routes with a name that was there before go on. */
  setRoutes(routes: readonly Route[]): void {
    this.#routes = routes
    for (const route of routes) {
      const counter = this.#counters.get(route.name) ?? new Counter()
      this.#counters.delete(route.name)
      this.#counters.set(route.name, counter)
      this.#ofRoute.set(route, counter)
    }
    const tooMany = this.#counters.size - routes.length - maxDeparted
    for (const name of [...this.#counters.keys()].slice(0, Math.max(0, tooMany))) this.#counters.delete(name)
  }

  save(): SavedStats {
    return { all: this.#all.save(), routes: Object.fromEntries([...this.#counters].map(([name, counter]) => [name, counter.save()])) }
  }

  /** Adds what was saved before a restart. */
  restore({ all, routes }: SavedStats): void {
    this.#all.restore(all)
    for (const [name, saved] of Object.entries(routes).slice(-this.#routes.length - maxDeparted)) {
      const counter = this.#counters.get(name) ?? new Counter()
      this.#counters.set(name, counter)
      counter.restore(saved)
    }
    this.setRoutes(this.#routes)
  }

  /** @param status of the answer; 499 when the caller went away before one */
  record(route: Route | undefined, status: number, ms: number): void {
    this.#all.record(status, ms, route !== undefined)
    if (route) this.#ofRoute.get(route)?.record(status, ms, true)
  }

  /** The live counts of every route; read them at once. */
  counts(): RouteCounts[] {
    return this.#present().map(([{ name, service }, counter]) => ({
      route: name,
      service,
      success: counter.success,
      error: counter.error,
      statuses: counter.statuses,
      latency: counter.latency,
    }))
  }

  view(): GatewayStats {
    const routes = Object.fromEntries(this.#present().map(([{ name, service }, counter]) => [name, { service, ...counter.view() }]))
    return { ...this.#all.view(), routes }
  }

  #present(): [Route, Counter][] {
    return this.#routes.flatMap((route): [Route, Counter][] => {
      const counter = this.#ofRoute.get(route)
      return counter === undefined ? [] : [[route, counter]]
    })
  }
}
