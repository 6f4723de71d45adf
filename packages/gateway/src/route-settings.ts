/** One route as it is written; what is left out has the default named at it. */
export interface RouteSettings {
  /** What statistics call it; default its methods, host and path. */
  name?: string
  /** `exact`; `exact-or-slash`: one trailing slash is ignored; `prefix`: equal, or continued after a slash. */
  match: "exact" | "exact-or-slash" | "prefix"
  /** Begins with a slash; matched byte for byte. */
  path: string
  /** Only requests for this host, lower-case and without port. */
  host?: string
  /** Only these methods, upper-case. */
  methods?: readonly string[]
  /** Service that answers. */
  service: string
  /** Takes the prefix away before the path goes to the backend; default false. */
  stripPrefix?: boolean
  /** From the end of the request head to response headers, over all attempts; default 30,000. */
  timeoutMs?: number
  /** How long an exchange may pass no byte either way once response headers came; default 60,000, 0 = for ever. */
  idleTimeoutMs?: number
  /** Requests on the wire at most, the first one included; default 3. */
  attempts?: number
  /** Status when no instance can be reached; default 502. */
  unreachableStatus?: 502 | 503
  /** Handed to the `pool` function; default left to it. */
  balancer?: string
  /** Handed to the `pool` function. */
  whenAllFail?: "spread" | "fail"
  /** Largest request body, in bytes, that is kept to be sent again; default 65,536. */
  retryBodyLimit?: number
  /** Lets GET and HEAD have a body; default false, since backends disagree about where such a request ends. */
  allowGetBody?: boolean
}

/** A route with every default filled in. */
export type Route = Required<Omit<RouteSettings, "host" | "methods" | "balancer" | "whenAllFail">> &
  Pick<RouteSettings, "host" | "methods" | "balancer" | "whenAllFail">

/** What holds for the whole gateway. */
export interface GatewaySettings {
  /** Answer where no route matches, in place of a 404 problem body; a text goes as text, anything else as JSON. */
  defaultResponse?: { statusCode: number; body: unknown }
  /** Body of GET `/` where no route claims it. */
  rootAnswer?: unknown
  /** Members of the problem body where no route matches; they go before the usual ones of the same name. */
  noRouteMembers?: Readonly<Record<string, unknown>>
  /** Path of the statistics on this port; default none. */
  statsPath?: string
  /** Limit of one connect; default 1000. */
  connectTimeoutMs?: number
  /** Requests in flight beyond which new ones are refused, `low` ones from three quarters of it, `high` ones from twice as many; default 10,000. */
  maxInFlight?: number
  /** Standing lag of the event loop, ms, from which `low` requests are refused, and at ten times of it `normal` ones; default 20, 0 = never. */
  maxLagMs?: number
  /** Adds `Server-Timing` to answers: the time here and the time of the instance; default false. */
  serverTiming?: boolean
  /** How long a route may wait for the first snapshot of its service; default 2000. */
  firstSnapshotMs?: number
  /** CIDR blocks or addresses whose `X-Forwarded-*` and `Forwarded` are believed; default none. */
  trustedProxies?: readonly string[]
  /** CIDR blocks or addresses whose mesh headers (`X-Request-Timeout`, `-Attempt`, `-Priority`) are believed; default loopback and private ones. */
  meshPeers?: readonly string[]
  /** Connections of clients at once; beyond nine tenths of it idle ones are closed, beyond all of it new ones. Default 20,000. */
  maxConnections?: number
  /** Largest request head in bytes; default 16,384. */
  maxHeaderBytes?: number
  /** How long a client may take for a request head; default 10,000. */
  headersTimeoutMs?: number
  /** How long an idle connection of a client is kept; default 65,000. */
  keepAliveTimeoutMs?: number
}

/** Fills in the defaults of a route. */
export function completeRoute(settings: RouteSettings): Route {
  const route: Route = {
    name: settings.name ?? routeName(settings),
    match: settings.match,
    path: settings.path,
    service: settings.service,
    stripPrefix: settings.stripPrefix ?? false,
    timeoutMs: settings.timeoutMs ?? 30_000,
    idleTimeoutMs: settings.idleTimeoutMs ?? 60_000,
    attempts: settings.attempts ?? 3,
    unreachableStatus: settings.unreachableStatus ?? 502,
    retryBodyLimit: settings.retryBodyLimit ?? 65_536,
    allowGetBody: settings.allowGetBody ?? false,
  }
  if (settings.host !== undefined) route.host = settings.host
  if (settings.methods !== undefined) route.methods = settings.methods
  if (settings.balancer !== undefined) route.balancer = settings.balancer
  if (settings.whenAllFail !== undefined) route.whenAllFail = settings.whenAllFail
  return route
}

function routeName({ methods, host, path, match }: RouteSettings): string {
  const target = `${host ?? ""}${path}${match === "prefix" && path !== "/" ? "/*" : ""}`
  return methods ? `${methods.join(",")} ${target}` : target
}

/** Where the gateway writes one line for its operator per change of state. */
export type GatewayLog = (level: "info" | "warn" | "error", message: string) => void
