/** One route of the gateway. */
export interface RouteSettings {
  /** How `path` is compared: as a whole, as a whole with or without one trailing slash, or as a prefix that ends at a segment. */
  match: "exact" | "exact-or-slash" | "prefix"
  /** Compared byte for byte, as it stands on the wire. */
  path: string
  /** Only requests for this host name, without port, lower-case. */
  host?: string
  /** Only these methods. */
  methods?: readonly string[]
  service: string
  /** Leave `path` out of what the backend sees. Default false. */
  stripPrefix?: boolean
  /** From the end of the request head to response headers, over all attempts, ms. Default 30,000. */
  timeoutMs?: number
  /** Without a byte either way, once headers were sent, ms. Default 60,000. */
  idleTimeoutMs?: number
  /** Requests on the wire at most, the first included. Default 3. */
  attempts?: number
  /** Status when no instance can be reached. Default 502. */
  unreachableStatus?: 502 | 503
  /** Name of the balancer. Default p2c. */
  balancer?: string
  /** Request bodies up to this size can be sent again, bytes. Default 65,536. */
  retryBodyLimit?: number
  /** Let GET and HEAD carry a body. Default false. */
  allowGetBody?: boolean
  /** What to do when every checked instance fails. Default `spread` for 3 or more, else `fail`. */
  whenAllFail?: "spread" | "fail"
}

/** What all routes of a gateway have in common. */
export interface GatewaySettings {
  /** Answer where no route matches, instead of the problem body of `no_route`; an object is sent as JSON. */
  defaultResponse?: { statusCode: number; body: unknown }
  /** JSON for GET `/` unless a route claims it. */
  rootAnswer?: unknown
  /** Path of the statistics on the data port; absent = not there. */
  statsPath?: string
  /** Limit until there is a connection to an instance, ms. Default 1,000. */
  connectTimeoutMs?: number
}
