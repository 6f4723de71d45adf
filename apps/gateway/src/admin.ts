import { MeshError, toProblem } from "@meshwork/contract"
import type { Gateway, Route } from "@meshwork/gateway"
import fastify, { type FastifyInstance, type FastifyReply } from "fastify"
import type { AccessLog } from "./access-log.ts"
import { dockerStats } from "./docker-stats.ts"
import { createMetrics } from "./metrics.ts"
import type { Services } from "./services.ts"

const paths = ["/health", "/ready", "/metrics", "/stats", "/routes", "/explain", "/containers"]

/** What is ready and what is not, in words. */
export interface Readiness {
  ready: boolean
  reasons: string[]
}

/** A gateway is ready when it has heard of the instances of every service it leads to. */
export function readinessOf(gateway: Gateway, services: Services): Readiness {
  const unheard = new Set(gateway.routes.filter((route) => gateway.poolOf(route).state === null).map((route) => route.service))
  const reasons = [...unheard].map((service) => `nothing is known of ${service} yet`)
  const status = services.discovery?.status()
  if (status && !status.connected) reasons.push(`no contact to discovery at ${status.url}${status.problem ? `: ${status.problem}` : ""}`)
  const docker = services.docker?.status()
  if (docker && !docker.connected) reasons.push(docker.problem ?? `Docker at ${docker.address} has not answered yet`)
  return { ready: unheard.size === 0, reasons }
}

export interface AdminParts {
  services: Services
  /** Absent where there is no access log. */
  access: Pick<AccessLog, "lost"> | undefined
  /** Whether the gateway is about to stop. */
  closing: () => boolean
}

/** The admin API of a gateway: what it does and why, for people and for scrapers. */
export function createAdmin(gateway: Gateway, { services, access, closing }: AdminParts): FastifyInstance {
  const app = fastify({ bodyLimit: 16 * 1024, forceCloseConnections: true })
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error))
  app.setNotFoundHandler((request, reply) => {
    const known = paths.includes(request.url.split("?", 1)[0] ?? "")
    const error = known
      ? new MeshError("method_not_allowed", `${request.method} is not offered here, only GET`)
      : new MeshError("not_found", `the admin API has ${paths.join(" ")}, not ${request.url.slice(0, 100)}`)
    if (known) reply.header("allow", "GET, HEAD")
    return sendProblem(reply, error)
  })
  app.get("/health", () => ({ status: "Gateway running" }))
  app.get("/ready", (_request, reply) => {
    const readiness = closing() ? { ready: false, reasons: ["the gateway is stopping"] } : readinessOf(gateway, services)
    return reply.code(readiness.ready ? 200 : 503).send(readiness)
  })
  const metrics = createMetrics(gateway, services, access)
  app.get("/metrics", async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()))
  app.get("/stats", () => {
    const { inFlight, lagMs, refused } = gateway.load
    const load = { in_flight: inFlight, event_loop_lag_ms: Math.round(lagMs * 100) / 100, refused }
    return { ...gateway.stats(), ...load, ...dockerStats(services) }
  })
  app.get("/containers", () => ({ ...dockerStats(services), containers: services.docker?.containers() ?? [] }))
  app.get("/routes", () => ({ routes: gateway.routes.map((route) => describeRoute(gateway, route)) }))
  app.get<{ Querystring: Record<string, unknown> }>("/explain", (request) => {
    const { method = "GET", path, host, ...rest } = request.query
    const [unknown] = Object.keys(rest)
    if (unknown !== undefined) throw new MeshError("invalid_request", `/explain takes method, path and host, not ${unknown.slice(0, 50)}`)
    if (typeof path !== "string" || !path.startsWith("/")) throw new MeshError("invalid_request", "/explain?path= takes a path that begins with /")
    if (typeof method !== "string" || !/^[A-Za-z-]{1,32}$/.test(method))
      throw new MeshError("invalid_request", "/explain?method= takes one HTTP method")
    if (host !== undefined && typeof host !== "string") throw new MeshError("invalid_request", "/explain?host= takes one host")
    return gateway.explain({ method: method.toUpperCase(), path, ...(host === undefined ? {} : { host }) })
  })
  return app
}

function describeRoute(gateway: Gateway, route: Route): Record<string, unknown> {
  const pool = gateway.poolOf(route)
  const { state } = pool
  const instances = pool.candidates().map(({ endpoint, weight, standing, why, eligible, breaker }) => ({
    id: endpoint.id,
    address: endpoint.address,
    standing,
    why,
    eligible,
    breaker,
    weight,
    in_flight: endpoint.inFlight,
    latency_ms: Math.round(endpoint.latencyMs * 100) / 100,
  }))
  return { ...route, known: state !== null, stale: state?.stale ?? false, as_of: state?.at ?? null, instances }
}

function sendProblem(reply: FastifyReply, error: unknown): FastifyReply {
  const status = (error as { statusCode?: number }).statusCode
  const known = MeshError.is(error) || status === undefined || status >= 500 ? error : new MeshError("invalid_request", (error as Error).message)
  const problem = toProblem(known)
  return reply.code(problem.status).headers(problem.headers).send(JSON.stringify(problem.body))
}
