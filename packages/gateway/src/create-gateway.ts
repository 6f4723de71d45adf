import type { Server } from "node:http"
import type { Server as SecureServer } from "node:https"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import type { Pool } from "@meshwork/client-sdk/pool"
import { type Clock, MeshError, systemClock } from "@meshwork/contract"
import type { AccessEntry } from "./access-log.ts"
import { Backends, type BackendsOptions, type UpstreamTls } from "./backends.ts"
import { closeServer } from "./close-server.ts"
import { Connections } from "./connections.ts"
import { checkPair, dataPort, type KeyPair, tlsOffer } from "./data-port.ts"
import { Entrance } from "./entrance.ts"
import { type ExplainedRequest, type Explanation, explain } from "./explain.ts"
import type { ExchangeParts } from "./exchange-parts.ts"
import { LoadShedder, type RequestPriority } from "./load-shedder.ts"
import type { GatewayLog, GatewaySettings, Route, RouteSettings } from "./route-settings.ts"
import { type RoutingTable, routingTable } from "./routing-table.ts"
import { type GatewayStats, type RouteCounts, type SavedStats, Stats } from "./stats.ts"

export interface GatewayOptions {
  routes: readonly RouteSettings[]
  /** The pool of a route's service; called once per route, when the gateway is made. */
  pool: (route: Route) => Pool
  settings?: GatewaySettings
  /** Speaks TLS on the data port; default plain HTTP. */
  tls?: KeyPair
  /** How the certificates of a service's https instances are judged; default by the authorities that Node brings. */
  upstreamTls?: (service: string) => UpstreamTls | undefined
  /** Hears of every request that has ended; default nobody, which costs nothing. */
  access?: (entry: AccessEntry) => void
  /** What statistics say beyond the counts; asked for each answer. */
  moreStats?: () => Readonly<Record<string, unknown>>
  clock?: Clock
  log?: GatewayLog
}

/** How much there is to do, and whom that cost what. */
export interface GatewayLoad {
  /** Requests being served. */
  inFlight: number
  /** How late the event loop was when it was last looked at, ms; 0 while nobody asks for anything. */
  lagMs: number
  /** Requests refused for the load, since the start. */
  refused: Readonly<Record<RequestPriority, number>>
}

/** The data plane of a gateway. */
export interface Gateway {
  readonly server: Server
  /** Begins to listen; `invalid_config` names a port that is taken. */
  listen(address: { host: string; port: number }): Promise<{ port: number }>
  /** Stops accepting, lets requests in flight finish for at most `graceMs` (8,000), then cuts what is left. Idempotent. */
  close(options?: { graceMs?: number }): Promise<void>
  stats(): GatewayStats
  /** What was counted of each route; live, so read it at once. */
  counts(): RouteCounts[]
  /** Counts as they are kept over a restart, and the way to add those of the last run. */
  saveStats(): SavedStats
  restoreStats(saved: SavedStats): void
  readonly routes: readonly Route[]
  /**
   * Replaces the routes at once; requests under way end as they began. The `pool` function is called for each of them. With `settings` those are
   * replaced too, but for the limits of connections and heads, which belong to the port. Throws, and changes nothing, where settings are wrong.
   */
  setRoutes(routes: readonly RouteSettings[], settings?: GatewaySettings): void
  /** Goes by another pair from the next connection on. Throws what node:tls says of one that does not fit; the old one stays then. */
  setTls(pair: KeyPair): void
  /** Judges the certificates of instances anew; connections to them are made anew, requests under way end as they began. */
  renewUpstreamTls(): void
  /** What would become of a request, and why. */
  explain(request: ExplainedRequest): Explanation
  /** The pool a route uses. */
  poolOf(route: Route): Pool
  readonly inFlight: number
  readonly load: GatewayLoad
}

const defaults = { connectTimeoutMs: 1000, firstSnapshotMs: 2000, maxInFlight: 10_000, maxLagMs: 20 } as const

/** Makes a gateway; nothing listens yet. */
export function createGateway(options: GatewayOptions): Gateway {
  return new HttpGateway(options)
}

class HttpGateway implements Gateway {
  readonly server: Server
  readonly #options: GatewayOptions
  readonly #clock: Clock
  readonly #log: GatewayLog
  readonly #stats: Stats = new Stats([])
  readonly #backends: Backends
  readonly #shedder: LoadShedder
  readonly #upgraded = new Set<Duplex>()
  readonly #connections: Connections
  #settings: GatewaySettings
  #table: RoutingTable
  #entrance: Entrance
  #closing: Promise<void> | undefined

  constructor(options: GatewayOptions) {
    const { settings = {}, clock = systemClock, log = () => {} } = options
    this.#options = options
    this.#settings = settings
    this.#clock = clock
    this.#log = log
    this.#connections = new Connections(clock)
    this.#shedder = new LoadShedder({ clock, ...limitsOf(settings) })
    this.#backends = new Backends(this.#backendsOptions(settings))
    this.#table = routingTable([], options.pool)
    this.#entrance = this.#entranceFor(settings)
    this.setRoutes(options.routes)
    const handlers = {
      handle: (...request: Parameters<Entrance["handle"]>) => this.#entrance.handle(...request),
      upgrade: (...request: Parameters<Entrance["upgrade"]>) => this.#entrance.upgrade(...request),
    }
    this.server = dataPort(settings, this.#connections, handlers, options.tls)
  }

  setRoutes(routes: readonly RouteSettings[], settings?: GatewaySettings): void {
    const entrance = settings && this.#entranceFor(settings)
    const table = routingTable(routes, this.#options.pool, this.#table)
    this.#stats.setRoutes(table.router.routes)
    this.#table = table
    if (settings === undefined || entrance === undefined) return
    const { connectTimeoutMs } = this.#settings
    this.#settings = settings
    this.#entrance = entrance
    this.#shedder.limit(limitsOf(settings))
    if (settings.connectTimeoutMs !== connectTimeoutMs) this.renewUpstreamTls()
  }

  setTls(pair: KeyPair): void {
    checkPair(pair)
    if ("setSecureContext" in this.server) (this.server as SecureServer).setSecureContext({ ...pair, minVersion: tlsOffer.minVersion })
  }

  renewUpstreamTls(): void {
    this.#backends.renew(this.#backendsOptions(this.#settings))
  }

  saveStats(): SavedStats {
    return this.#stats.save()
  }

  restoreStats(saved: SavedStats): void {
    this.#stats.restore(saved)
  }

  get routes(): readonly Route[] {
    return this.#table.router.routes
  }

  get inFlight(): number {
    return this.#shedder.inFlight
  }

  get load(): GatewayLoad {
    const { inFlight, lagMs, refused } = this.#shedder
    return { inFlight, lagMs, refused }
  }

  poolOf(route: Route): Pool {
    return this.#table.pools.get(route) as Pool
  }

  stats(): GatewayStats {
    return this.#stats.view()
  }

  explain(request: ExplainedRequest): Explanation {
    return explain(this.#table.router, request, { poolOf: (route) => this.poolOf(route), settings: this.#settings })
  }

  counts(): RouteCounts[] {
    return this.#stats.counts()
  }

  listen({ host, port }: { host: string; port: number }): Promise<{ port: number }> {
    return new Promise((resolve, reject) => {
      this.server.once("error", (error: NodeJS.ErrnoException) => {
        const taken = error.code === "EADDRINUSE" ? "is taken" : `cannot be listened on (${error.code})`
        reject(new MeshError("invalid_config", `port ${port} on ${host} ${taken}: choose another one with --port or gateway.port`, { cause: error }))
      })
      this.server.listen({ host, port, backlog: 4096 }, () => {
        this.server.on("error", (error) => this.#log("error", `the data port failed: ${error.message}`))
        resolve({ port: (this.server.address() as AddressInfo).port })
      })
    })
  }

  close({ graceMs = 8000 }: { graceMs?: number } = {}): Promise<void> {
    this.#closing ??= (async () => {
      await closeServer(this.server, { graceMs, clock: this.#clock, upgraded: this.#upgraded, connections: this.#connections })
      this.#shedder.close()
      await this.#backends.close()
    })()
    return this.#closing
  }

  #backendsOptions({ connectTimeoutMs = defaults.connectTimeoutMs }: GatewaySettings): BackendsOptions {
    const { upstreamTls } = this.#options
    return { connectTimeoutMs, clock: this.#clock, ...(upstreamTls === undefined ? {} : { upstreamTls }) }
  }

  #entranceFor(settings: GatewaySettings): Entrance {
    const { moreStats = () => ({}) } = this.#options
    return new Entrance({
      settings,
      clock: this.#clock,
      connections: this.#connections,
      shedder: this.#shedder,
      stats: this.#stats,
      exchange: this.#exchangeParts(settings),
      table: () => this.#table,
      statsBody: () => ({ ...this.stats(), ...moreStats() }),
      upgraded: this.#upgraded,
      access: this.#options.access,
    })
  }

  #exchangeParts(settings: GatewaySettings): ExchangeParts {
    return {
      clock: this.#clock,
      backends: this.#backends,
      connectTimeoutMs: settings.connectTimeoutMs ?? defaults.connectTimeoutMs,
      firstSnapshotMs: settings.firstSnapshotMs ?? defaults.firstSnapshotMs,
      finished: (route, status, ms) => {
        this.#shedder.inFlight--
        this.#stats.record(route, status, ms)
      },
      access: this.#options.access,
      serverTiming: settings.serverTiming ?? false,
      // Not before the port is closed: who is told that the connection ends comes on another one, and would be reset with what waits there.
      closing: () => this.#closing !== undefined && !this.server.listening,
      malformed: (request) => !request.complete && this.#connections.isRefused(request.socket),
    }
  }
}

function limitsOf(settings: GatewaySettings): { maxInFlight: number; maxLagMs: number } {
  return { maxInFlight: settings.maxInFlight ?? defaults.maxInFlight, maxLagMs: settings.maxLagMs ?? defaults.maxLagMs }
}
