/** How the path of a request is compared: whole, whole but for one trailing slash, or up to a segment. */
export type RouteMatch = "exact" | "exact-or-slash" | "prefix"

/** One route as the gateway wants it; paths are compared byte for byte. */
export interface RouteSettings {
  match: RouteMatch
  /** Begins with a slash. One slash at the end of a prefix is ignored. */
  path: string
  /** Name of the service or backend it leads to. */
  service: string
  /** Only requests for this host, without port; case does not matter. */
  host?: string
  /** Only these methods, upper-case. */
  methods?: readonly string[]
  /** Takes the prefix off the path that is sent on. Default false. */
  stripPrefix?: boolean
  /** From the end of the request head to response headers, over all attempts, ms. Default 30,000. */
  timeoutMs?: number
  /** An exchange that passes no byte either way for this long after response headers is cut, ms. Default: the gateway's. */
  idleTimeoutMs?: number
  /** The same for upgraded connections; default none. */
  upgradeIdleTimeoutMs?: number
  /** Requests on the wire at most, the first one included. Default 3. */
  attempts?: number
  /** Status when no instance can be reached. Default 502. */
  unreachableStatus?: 502 | 503
  /** Name of the balancer, as the `pool` option of the gateway understands it. */
  balancer?: string
  /** Largest request body that is kept to be sent again, bytes. Default 65,536. */
  retryBodyLimit?: number
}

/** What holds for the whole gateway. */
export interface ServerSettings {
  /** Limit of one connect, ms. Default 1000. */
  connectTimeoutMs?: number
  /** Default of the routes' `idleTimeoutMs`, and limit for reading a request, ms. Default 60,000. */
  idleTimeoutMs?: number
  /** Requests in flight beyond which new ones are answered 503 `overloaded`. Default 10,000. */
  maxInFlight?: number
  /** Largest request head and response head, bytes. Default 32,768. */
  maxHeaderBytes?: number
  /** How long a client may take for the head of a request, ms. Default 10,000. */
  headersTimeoutMs?: number
  /** How long an idle client connection is kept, ms. Default 60,000. */
  keepAliveTimeoutMs?: number
  /** How long a call waits for the first snapshot of its service, ms. Default 2000. */
  firstSnapshotMs?: number
  /** How long `close` lets requests finish, ms. Default 8000. */
  graceMs?: number
  /** Exact path of `/stats` on the data port; default none. */
  statsPath?: string
  /** JSON body of GET `/` where no route claims it; default none. */
  rootAnswer?: unknown
  /** The answer where no route matches; default a 404 problem body. Text is sent as text, everything else as JSON. */
  defaultResponse?: { statusCode: number; body: unknown }
  /**
   * Addresses or networks (CIDR) whose X-Forwarded-*, Forwarded and X-Request-* headers are believed. Default: the X-Request-* of loopback and
   * private peers only.
   */
  trustedProxies?: readonly string[]
}
