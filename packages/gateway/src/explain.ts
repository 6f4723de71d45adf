import type { Pool } from "@meshwork/client-sdk/pool"
import { admit } from "./guard.ts"
import type { GatewaySettings, Route } from "./route-settings.ts"
import type { Router } from "./router.ts"

const shown = 50

/** A request to be explained, not sent. */
export interface ExplainedRequest {
  method: string
  /** Path, perhaps with a query. */
  path: string
  /** Host, perhaps with a port. Default `localhost`. */
  host?: string
}

/** A route whose path matches the request, and why it wins or not. */
export interface RouteVerdict {
  route: string
  service: string
  wins: boolean
  why: string
}

/** An instance of the winning route's service. */
export interface InstanceVerdict {
  id: string
  address: string
  standing: string
  why: string
  /** Whether a request may go there now. */
  eligible: boolean
  weight: number
  in_flight: number
  latency_ms: number
  breaker?: string
}

/** What would become of a request, and why. */
export interface Explanation {
  method: string
  host: string
  path: string
  /** Why the guard refuses it; then nothing else is asked. */
  refused: string | null
  /** Name of the route that wins; null when none does. */
  route: string | null
  service: string | null
  /** The path the backend would see. */
  upstream_path: string | null
  /** Routes whose path matches, at most 50. */
  considered: RouteVerdict[]
  /** Routes whose path does not match. */
  others: number
  /** Instances of the service; null when nothing is known of it, or nobody was asked. */
  instances: InstanceVerdict[] | null
  /** One sentence with the outcome. */
  outcome: string
}

export interface ExplainOptions {
  /** Left out where there is no running gateway to ask. */
  poolOf?: (route: Route) => Pool
  /** What the gateway answers by itself. */
  settings?: GatewaySettings
}

/** Says what the data plane would do with a request. */
export function explain(router: Router, request: ExplainedRequest, { poolOf, settings = {} }: ExplainOptions = {}): Explanation {
  const { method, path: target, host: authority = "localhost" } = request
  const admitted = admit({ method, url: target, httpVersion: "1.1", rawHeaders: ["Host", authority] })
  const base = { method, host: authority, path: target, refused: null, route: null, service: null, upstream_path: null, instances: null }
  if (typeof admitted === "string") {
    return { ...base, refused: admitted, considered: [], others: router.routes.length, outcome: `refused with 400: ${admitted}` }
  }
  const { host, path } = admitted
  if (method === "GET" && path === settings.statsPath) {
    return {
      ...base,
      considered: [],
      others: router.routes.length,
      outcome: "answered with the statistics of the gateway, before any route is asked",
    }
  }
  const winner = router.find(host, method, path)
  const matching = router.routes.filter((route) => pathMatches(route, path))
  const considered = matching.slice(0, shown).map((route) => verdictOf(route, winner, { host, method }))
  const others = router.routes.length - matching.length
  if (winner === undefined) {
    const why = matching.length === 0 ? "no route has this path" : "the routes of this path are for other hosts or methods"
    return { ...base, considered, others, outcome: `no route: ${why}${answerWithoutRoute(method, path, settings)}` }
  }
  const found = { ...base, route: winner.name, service: winner.service, upstream_path: upstreamPath(winner, admitted.target), considered, others }
  const pool = poolOf?.(winner)
  if (pool === undefined) return { ...found, outcome: `goes to ${winner.service}` }
  if (pool.state === null) return { ...found, outcome: `goes to ${winner.service}, of which nothing is known yet` }
  const instances = pool.candidates().map(
    ({ endpoint, weight, standing, why, eligible, breaker }): InstanceVerdict => ({
      id: endpoint.id,
      address: endpoint.address,
      standing,
      why,
      eligible,
      weight,
      in_flight: endpoint.inFlight,
      latency_ms: Math.round(endpoint.latencyMs * 100) / 100,
      ...(breaker === undefined ? {} : { breaker }),
    }),
  )
  return { ...found, instances, outcome: outcomeOf(winner, instances) }
}

function answerWithoutRoute(method: string, path: string, { rootAnswer, defaultResponse }: GatewaySettings): string {
  if (rootAnswer !== undefined && path === "/" && method === "GET") return "; answered with 200 and the answer for the root"
  return defaultResponse === undefined ? "" : `; answered with ${defaultResponse.statusCode}, the default response`
}

function outcomeOf({ service, balancer }: Route, instances: readonly InstanceVerdict[]): string {
  const eligible = instances.filter((instance) => instance.eligible)
  if (eligible.length === 0) {
    const first = instances[0]
    return `503: none of the ${instances.length} instances of ${service} may be used${first === undefined ? "" : `, such as ${first.id}: ${first.why}`}`
  }
  const only = eligible[0]
  if (eligible.length === 1 && only !== undefined) return `goes to ${only.id} at ${only.address}, the only instance of ${service} that may be used`
  return `goes to one of ${eligible.length} instances of ${service}, chosen by ${balancer ?? "p2c"}`
}

function upstreamPath(route: Route, target: string): string {
  if (!route.stripPrefix) return target
  const rest = target.slice(route.path.endsWith("/") ? route.path.length - 1 : route.path.length)
  return rest.startsWith("/") ? rest : `/${rest}`
}

function pathMatches({ match, path: own }: Route, path: string): boolean {
  if (match === "exact") return path === own
  if (match === "exact-or-slash") return path === own || path === (own.endsWith("/") ? own.slice(0, -1) : `${own}/`)
  const prefix = bare(own)
  return path === prefix || path.startsWith(`${prefix}/`)
}

const bare = (path: string): string => (path.endsWith("/") ? path.slice(0, -1) : path)

function verdictOf(route: Route, winner: Route | undefined, { host, method }: { host: string; method: string }): RouteVerdict {
  const verdict = { route: route.name, service: route.service, wins: route === winner }
  if (route === winner) return { ...verdict, why: "the most particular route that matches" }
  if (route.host !== undefined && route.host !== host) return { ...verdict, why: `only for the host ${route.host}` }
  if (route.methods !== undefined && !route.methods.includes(method)) return { ...verdict, why: `only for ${route.methods.join(", ")}` }
  return { ...verdict, why: winner === undefined ? "does not match" : whyBeaten(route, winner) }
}

function whyBeaten(route: Route, winner: Route): string {
  const by = `${winner.name} wins`
  if (route.match === "prefix" && winner.match !== "prefix") return `${by}: an exact path comes before a prefix`
  if (route.match === "prefix" && bare(winner.path).length > bare(route.path).length) return `${by}: it has the longer prefix`
  if (route.match === "exact-or-slash" && winner.match === "exact") return `${by}: it names the path as it is`
  if (winner.host !== undefined && route.host === undefined) return `${by}: it names the host`
  if (winner.methods !== undefined && route.methods === undefined) return `${by}: it names the method`
  return `${by}: it is written first`
}
