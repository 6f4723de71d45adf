import { Counter, Histogram, type OpenMetricsContentType, type Registry } from "prom-client"
import type { ClientObserver } from "./client/observer.ts"
import type { ServerObserver } from "./server/incoming-context.ts"

const buckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.75, 1, 5, 10, 15, 20]
/** Different values of a label that callers choose; the others share the value `other`. */
const maxValues = 1000

export interface MetricsOptions {
  /** Where the metrics are registered. */
  registry: Registry | Registry<OpenMetricsContentType>
}

/** Observers that feed prom-client: hand `client` to `createMesh` or `createClient`, and `server` to `meshContext`. */
export interface MeshMetrics {
  client: ClientObserver
  server: ServerObserver
}

/** Metrics of calls and of handled requests, in seconds. Needs prom-client. */
export function createMetrics({ registry }: MetricsOptions): MeshMetrics {
  const registers = [registry]
  const paths = bounded()
  const callers = bounded()
  const calls = new Histogram({
    name: "meshwork_client_request_duration_seconds",
    help: "Calls, from the first attempt to the answer",
    labelNames: ["service", "method", "path", "status", "breaker"],
    buckets,
    registers,
  })
  const attempts = new Histogram({
    name: "meshwork_client_attempt_duration_seconds",
    help: "Requests on the wire; aborted hedges have the status aborted",
    labelNames: ["service", "method", "path", "status"],
    buckets,
    registers,
  })
  const requests = new Histogram({
    name: "meshwork_server_request_duration_seconds",
    help: "Requests handled",
    labelNames: ["client", "method", "path", "status"],
    buckets,
    registers,
  })
  const counter = <const L extends string>(name: string, help: string, ...labelNames: L[]) => new Counter<L>({ name, help, labelNames, registers })
  const retries = counter("meshwork_client_retries_total", "Attempts made again", "service")
  const hedges = counter("meshwork_client_hedges_total", "Attempts made beside others, by whether their answer counted", "service", "outcome")
  const exhausted = counter("meshwork_client_retry_budget_exhausted_total", "Retries and hedges left out for want of budget", "service")
  const transitions = counter("meshwork_client_breaker_transitions_total", "Changes of state of breakers", "service", "state")
  return {
    client: {
      call({ service, method, path, status, durationMs, breaker }) {
        calls.observe({ service, method, path: paths(path), status, breaker: String(breaker) }, durationMs / 1000)
      },
      attempt({ service, method, path, status, durationMs }) {
        attempts.observe({ service, method, path: paths(path), status }, durationMs / 1000)
      },
      retry: (service) => retries.inc({ service }),
      hedge: (service, won) => hedges.inc({ service, outcome: won ? "won" : "lost" }),
      budgetExhausted: (service) => exhausted.inc({ service }),
      breaker: (service, state) => transitions.inc({ service, state }),
    },
    server: {
      request({ client, method, path, status, durationMs }) {
        requests.observe({ client: callers(client), method, path: paths(path), status }, durationMs / 1000)
      },
    },
  }
}

/** Lets the first thousand values pass. */
function bounded(): (value: string) => string {
  const known = new Set<string>()
  return (value) => {
    if (known.has(value)) return value
    if (known.size >= maxValues) return "other"
    known.add(value)
    return value
  }
}
