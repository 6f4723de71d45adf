import type { Gateway, RouteCounts } from "@meshwork/gateway"
import { Histogram as LatencyCounts } from "@meshwork/gateway"
import { collectDefaultMetrics, Gauge, type Metric, Registry as Metrics } from "prom-client"
import type { AccessLog } from "./access-log.ts"
import type { Services } from "./services.ts"

/** Routes and services with a label of their own; the others share the label `other`. */
const labelled = 1000
/** Gauges that prom-client calls totals, which promtool complains about. */
const misnamed = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"]
const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** The metrics of a gateway. Nothing is done for them in the path of a request: they are made of what `/stats` counts. */
export function createMetrics(gateway: Gateway, services: Services, access: Pick<AccessLog, "lost"> | undefined): Metrics {
  const metrics = new Metrics()
  collectDefaultMetrics({ register: metrics })
  for (const name of misnamed) metrics.removeSingleMetric(name)
  const counted = [requestsTotal(gateway), requestDuration(gateway), refusedTotal(gateway), ...(access === undefined ? [] : [lostLines(access)])]
  for (const metric of [...gauges(gateway, services), ...counted]) metrics.registerMetric(metric as Metric)
  return metrics
}

function gauges(gateway: Gateway, services: Services): Gauge[] {
  const instances = (name: string, help: string, count: (service: string) => number) =>
    new Gauge({
      name: `meshwork_gateway_${name}`,
      help,
      labelNames: ["service"],
      registers: [],
      collect() {
        this.reset()
        const names = [...new Set(gateway.routes.map((route) => route.service))]
        for (const [index, service] of names.entries()) this.inc({ service: index < labelled ? service : "other" }, count(service))
      },
    })
  const candidates = (service: string) => {
    const route = gateway.routes.find((each) => each.service === service)
    return route === undefined ? [] : gateway.poolOf(route).candidates()
  }
  const single = (name: string, help: string, value: () => number) =>
    new Gauge({
      name: `meshwork_gateway_${name}`,
      help,
      registers: [],
      collect() {
        this.set(value())
      },
    })
  return [
    single("in_flight_requests", "Requests being served", () => gateway.inFlight),
    single(
      "event_loop_lag_seconds",
      "How late the event loop was when it was last looked at; 0 while nobody asks for anything",
      () => gateway.load.lagMs / 1000,
    ),
    single("discovery_connected", "1 while a discovery server is heard, or none is needed", () =>
      Number(services.discovery === undefined || services.discovery.status().connected),
    ),
    ...dockerGauges(services, single),
    instances("instances", "Instances known of a service", (service) => candidates(service).length),
    instances(
      "eligible_instances",
      "Instances of a service that requests may go to",
      (service) => candidates(service).filter((c) => c.eligible).length,
    ),
  ]
}

function dockerGauges({ docker }: Services, single: (name: string, help: string, value: () => number) => Gauge): Gauge[] {
  if (docker === undefined) return []
  return [
    single("docker_connected", "1 while Docker is heard", () => Number(docker.status().connected)),
    single("docker_age_seconds", "Age of the last list of containers; 0 before the first one", () => (docker.status().ageMs ?? 0) / 1000),
    single("docker_containers", "Containers in the last list", () => docker.status().containers),
  ]
}

/** Counts by route label: what exceeds the bound is summed up. */
function byLabel(gateway: Gateway): { labels: { route: string; service: string }; statuses: number[]; latency: LatencyCounts }[] {
  const all = gateway.counts()
  const copies = all
    .slice(0, labelled)
    .map(({ route, service, statuses, latency }) => ({ labels: { route, service }, statuses: [...statuses], latency }))
  if (all.length <= labelled) return copies
  const statuses = [0, 0, 0, 0, 0, 0]
  const latency = new LatencyCounts()
  for (const rest of all.slice(labelled)) addCounts(rest, statuses, latency)
  return [...copies, { labels: { route: "other", service: "other" }, statuses, latency }]
}

function addCounts(counts: RouteCounts, statuses: number[], latency: LatencyCounts): void {
  for (const [hundreds, count] of counts.statuses.entries()) statuses[hundreds] = (statuses[hundreds] ?? 0) + count
  latency.add(counts.latency)
}

interface Sample {
  metricName?: string
  labels: Record<string, string | number>
  value: number
}

/** A metric whose samples are made when they are asked for. */
function collected(name: string, help: string, type: "counter" | "histogram", samples: () => Sample[]): unknown {
  return { name, help, type, aggregator: "sum", get: async () => ({ name, help, type, aggregator: "sum", values: samples() }), reset: () => {} }
}

function requestsTotal(gateway: Gateway): unknown {
  return collected("meshwork_gateway_requests_total", "Requests answered, by route and class of status", "counter", () =>
    byLabel(gateway).flatMap(({ labels, statuses }) =>
      statuses.flatMap((value, hundreds) => (value === 0 ? [] : [{ labels: { ...labels, status: `${hundreds}xx` }, value }])),
    ),
  )
}

function refusedTotal(gateway: Gateway): unknown {
  return collected("meshwork_gateway_refused_requests_total", "Requests refused for the load, by their priority", "counter", () =>
    Object.entries(gateway.load.refused).map(([priority, value]) => ({ labels: { priority }, value })),
  )
}

function lostLines(access: Pick<AccessLog, "lost">): unknown {
  const help = "Lines of the access log that nobody took in time"
  return collected("meshwork_gateway_access_log_lost_lines_total", help, "counter", () => [{ labels: {}, value: access.lost }])
}

function requestDuration(gateway: Gateway): unknown {
  const name = "meshwork_gateway_request_duration_seconds"
  const limits = secondsBuckets.map((seconds) => seconds * 1000)
  return collected(name, "Time from the request head to the end of the answer", "histogram", () =>
    byLabel(gateway).flatMap(({ labels, latency }): Sample[] => [
      ...latency
        .countsUpTo(limits)
        .map((value, index) => ({ metricName: `${name}_bucket`, labels: { ...labels, le: secondsBuckets[index] ?? 0 }, value })),
      { metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: latency.count },
      { metricName: `${name}_sum`, labels, value: latency.sum / 1000 },
      { metricName: `${name}_count`, labels, value: latency.count },
    ]),
  )
}
