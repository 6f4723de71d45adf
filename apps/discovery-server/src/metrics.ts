import type { Clock } from "@meshwork/contract"
import type { Registry } from "@meshwork/registry-core"
import type { FastifyInstance } from "fastify"
import type { DockerServices } from "./docker-services.ts"
import { Counter, collectDefaultMetrics, Gauge, Registry as Metrics } from "prom-client"
import type { HealthPolling } from "./health-polling.ts"
import { pollerMetrics } from "./poller-metrics.ts"
import { RequestDurations } from "./request-durations.ts"

/** Services with a label of their own; the others share the label `other`. */
const labelledServices = 1000
/** Kinds of changes with a label of their own. */
const labelledKinds = 50
/** Gauges that prom-client calls totals, which promtool complains about. */
const misnamed = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"]

/** What the figures are read from. */
interface MeasuredParts {
  registry: Registry
  polling: Pick<HealthPolling, "statistics">
  clock: Clock
  /** Absent where containers are not looked for. */
  docker?: Pick<DockerServices, "status"> | undefined
}

/** Offers `GET /metrics` and measures every request. */
export function registerMetrics(app: FastifyInstance, parts: MeasuredParts): void {
  const { registry, polling, clock, docker } = parts
  const metrics = new Metrics()
  collectDefaultMetrics({ register: metrics })
  for (const name of misnamed) metrics.removeSingleMetric(name)
  for (const metric of [...registryMetrics(registry, clock), ...pollerMetrics(polling), ...dockerMetrics(docker)]) metrics.registerMetric(metric)
  metrics.registerMetric(measureRequests(app).asMetric())
  app.get("/metrics", async (_, reply) => reply.type(metrics.contentType).send(await metrics.metrics()))
  app.addHook("onClose", async () => metrics.clear())
}

/** Figures that are read when they are asked for. */
function registryMetrics(registry: Registry, clock: Clock): (Gauge | Counter)[] {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name: `meshwork_registry_${name}`,
      help,
      registers: [],
      collect() {
        this.set(value())
      },
    })
  const perService = (name: string, help: string, count: "instances" | "serving") =>
    new Gauge({
      name: `meshwork_service_${name}`,
      help,
      labelNames: ["service"],
      registers: [],
      collect() {
        this.reset()
        for (const [service, counts] of labelled(registry)) this.set({ service }, counts[count])
      },
    })
  return [
    gauge("services", "Services with at least one instance", () => registry.statistics().services),
    gauge("instances", "Registered instances", () => registry.statistics().instances),
    gauge("watchers", "Open watches", () => registry.statistics().watchers),
    gauge("revision", "Counter of visible changes", () => registry.position.revision),
    gauge("ready", "1 while registrations are taken, else 0", () => Number(registry.readiness().ready)),
    gauge("servers", "Discovery servers over the same storage, this one included", () => registry.servers().length),
    gauge("stale_seconds", "How long the storage has not been reached; 0 while it is, and where it is not shared", () =>
      staleSeconds(registry, clock),
    ),
    perService("instances", "Registered instances of a service", "instances"),
    perService("serving_instances", "Instances of a service that serve", "serving"),
    new Counter({
      name: "meshwork_registry_heartbeats_total",
      help: "Leases renewed by a heartbeat",
      registers: [],
      collect() {
        this.reset()
        this.inc(registry.statistics().heartbeats)
      },
    }),
    new Counter({
      name: "meshwork_registry_changes_total",
      help: "Visible changes by what happened",
      labelNames: ["what"],
      registers: [],
      collect() {
        this.reset()
        let kinds = 0
        // Other servers over the storage, of other versions, name theirs themselves.
        for (const [what, count] of registry.statistics().changes) this.inc({ what: kinds++ < labelledKinds ? what : "other" }, count)
      },
    }),
  ]
}

function staleSeconds(registry: Registry, clock: Clock): number {
  const since = registry.staleSince()
  return since === undefined ? 0 : Math.max(0, clock.now() - since) / 1000
}

function dockerMetrics(docker: Pick<DockerServices, "status"> | undefined): Gauge[] {
  if (docker === undefined) return []
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name: `meshwork_discovery_docker_${name}`,
      help,
      registers: [],
      collect() {
        this.set(value())
      },
    })
  return [
    gauge("connected", "1 while Docker is heard", () => Number(docker.status().connected)),
    gauge("age_seconds", "Age of the last list of containers; 0 before the first one", () => (docker.status().ageMs ?? 0) / 1000),
    gauge("containers", "Containers in the last list", () => docker.status().containers),
  ]
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

function measureRequests(app: FastifyInstance): RequestDurations {
  const durations = new RequestDurations()
  app.addHook("onResponse", (request, reply, done) => {
    done()
    const { url } = request.routeOptions
    if (url === undefined) durations.count("other", "none", reply.statusCode, reply.elapsedTime / 1000)
    else if (url !== "/v1/watch") durations.count(request.method, url, reply.statusCode, reply.elapsedTime / 1000)
  })
  return durations
}
