import type { Registry } from "@meshwork/registry-core"
import type { FastifyInstance } from "fastify"
import { Counter, collectDefaultMetrics, Gauge, Histogram, type OpenMetricsContentType, Registry as Metrics } from "prom-client"

/** Services with a label of their own; the others share the label `other`. */
const labelledServices = 1000
const secondsBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** Offers `GET /metrics` and measures every other request. Figures of the registry are read when they are asked for. */
export function registerMetrics(app: FastifyInstance, registry: Registry): Metrics<OpenMetricsContentType> {
  const metrics = new Metrics<OpenMetricsContentType>()
  metrics.setContentType(Metrics.OPENMETRICS_CONTENT_TYPE)
  const registers = [metrics]
  collectDefaultMetrics({ register: metrics })
  describeRegistry(registry, registers)
  measureRequests(app, registers)
  app.get("/metrics", async (_, reply) => reply.type(metrics.contentType).send(await metrics.metrics()))
  app.addHook("onClose", async () => metrics.clear())
  return metrics
}

function describeRegistry(registry: Registry, registers: Metrics<OpenMetricsContentType>[]): void {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name: `meshwork_registry_${name}`,
      help,
      registers,
      collect() {
        this.set(value())
      },
    })
  gauge("services", "Services with at least one instance", () => registry.statistics().services)
  gauge("instances", "Registered instances", () => registry.statistics().instances)
  gauge("watchers", "Open watches", () => registry.statistics().watchers)
  gauge("revision", "Counter of visible changes", () => registry.position.revision)
  gauge("ready", "1 while registrations are taken, else 0", () => Number(registry.readiness().ready))
  const perService = { labelNames: ["service"] as const, registers }
  new Gauge({
    ...perService,
    name: "meshwork_service_instances",
    help: "Registered instances of a service",
    collect() {
      this.reset()
      for (const [service, { instances }] of labelled(registry)) this.set({ service }, instances)
    },
  })
  new Gauge({
    ...perService,
    name: "meshwork_service_serving_instances",
    help: "Instances of a service that serve",
    collect() {
      this.reset()
      for (const [service, { serving }] of labelled(registry)) this.set({ service }, serving)
    },
  })
  new Counter({
    name: "meshwork_registry_heartbeats_total",
    help: "Leases renewed by a heartbeat",
    registers,
    collect() {
      this.reset()
      this.inc(registry.statistics().heartbeats)
    },
  })
  new Counter({
    name: "meshwork_registry_changes_total",
    help: "Visible changes by what happened",
    labelNames: ["what"],
    registers,
    collect() {
      this.reset()
      for (const [what, count] of registry.statistics().changes) this.inc({ what }, count)
    },
  })
}

function labelled(registry: Registry): Map<string, { instances: number; serving: number }> {
  const counts = new Map<string, { instances: number; serving: number }>()
  for (const { name, instances, serving } of registry.services()) {
    const label = counts.size < labelledServices ? name : "other"
    const sum = counts.get(label) ?? { instances: 0, serving: 0 }
    counts.set(label, { instances: sum.instances + instances, serving: sum.serving + serving })
  }
  return counts
}

function measureRequests(app: FastifyInstance, registers: Metrics<OpenMetricsContentType>[]): void {
  const duration = new Histogram({
    name: "meshwork_discovery_request_duration_seconds",
    help: "Time from the request head to the end of the answer, watches left out",
    labelNames: ["method", "route", "status"] as const,
    buckets: secondsBuckets,
    registers,
  })
  // Looking labels up costs more than counting: each combination is resolved once.
  const series = new Map<string, Histogram.Internal<"method" | "route" | "status">>()
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "none"
    if (route === "/v1/watch") return
    const method = request.routeOptions.url === undefined ? "other" : request.method
    const key = `${method} ${reply.statusCode} ${route}`
    let found = series.get(key)
    if (found === undefined) series.set(key, (found = duration.labels({ method, route, status: String(reply.statusCode) })))
    found.observe(reply.elapsedTime / 1000)
  })
}
