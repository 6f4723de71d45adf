import type { Metric } from "prom-client"

const name = "meshwork_discovery_request_duration_seconds"
const help = "Time from the request head to the end of the answer, watches left out"
const boundsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

interface Series {
  labels: { method: string; route: string; status: string }
  /** How many fell into each bucket and into none before it; the last one has no bound. */
  counts: Float64Array
  sum: number
}

/** One value of a histogram as prom-client shows it. */
interface Value {
  metricName: string
  labels: Record<string, string | number>
  value: number
}

/** A histogram of requests whose buckets are plain numbers, since every request feeds it: what it says is put together when it is asked for. */
export class RequestDurations {
  readonly name: string = name
  readonly #series = new Map<string, Map<string, Map<number, Series>>>()

  /** The same as prom-client registers it: all that its registry uses of a metric are the name and `get`. */
  asMetric(): Metric {
    return this as unknown as Metric
  }

  /** Counts one request. All three come from the route table and the server, never from a caller. */
  count(method: string, route: string, status: number, seconds: number): void {
    const series = this.#find(method, route, status)
    let bucket = 0
    while (bucket < boundsSeconds.length && seconds > (boundsSeconds[bucket] ?? 0)) bucket++
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1
    series.sum += seconds
  }

  async get(): Promise<{ name: string; help: string; type: "histogram"; values: Value[] }> {
    const all = [...this.#series.values()].flatMap((methods) => [...methods.values()].flatMap((statuses) => [...statuses.values()]))
    return { name, help, type: "histogram", values: all.flatMap(valuesOf) }
  }

  #find(method: string, route: string, status: number): Series {
    let methods = this.#series.get(route)
    if (methods === undefined) this.#series.set(route, (methods = new Map()))
    let statuses = methods.get(method)
    if (statuses === undefined) methods.set(method, (statuses = new Map()))
    let series = statuses.get(status)
    if (series === undefined) {
      series = { labels: { method, route, status: String(status) }, counts: new Float64Array(boundsSeconds.length + 1), sum: 0 }
      statuses.set(status, series)
    }
    return series
  }
}

function valuesOf({ labels, counts, sum }: Series): Value[] {
  let total = 0
  const buckets = [...counts].map((count, index): Value => {
    total += count
    return { labels: { le: boundsSeconds[index] ?? "+Inf", ...labels }, value: total, metricName: `${name}_bucket` }
  })
  return [...buckets, { labels, value: sum, metricName: `${name}_sum` }, { labels, value: total, metricName: `${name}_count` }]
}
