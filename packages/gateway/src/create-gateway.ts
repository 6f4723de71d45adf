import { type IncomingMessage, type Server, ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { type Pool, type RetryBudget, retryBudget } from "@meshwork/client-sdk/pool"
import { type Clock, MeshError, systemClock } from "@meshwork/contract"
import { Backends } from "./backends.ts"
import { type ExplainedRequest, type Explanation, explain } from "./explain.ts"
import { answerUnderWay, Connections, endAfter } from "./connections.ts"
import { dataPort, defaultHeadersTimeoutMs, type Expects } from "./data-port.ts"
import { Exchange, type ExchangeParts } from "./exchange.ts"
import { type Admitted, admit } from "./guard.ts"
import { forwardHead, type Peer } from "./headers.ts"
import { isNearby, peerList, plainAddress } from "./peers.ts"
import { onceKnown } from "./request-body.ts"
import { sendBody, sendError } from "./replies.ts"
import type { GatewayLog, GatewaySettings, Route, RouteSettings } from "./route-settings.ts"
import { compileRoutes, type Router } from "./router.ts"
import { type GatewayStats, type RouteCounts, type SavedStats, Stats } from "./stats.ts"

export interface GatewayOptions {
  routes: readonly RouteSettings[]
  /** The pool of a route's service; called once per route, when the gateway is made. */
  pool: (route: Route) => Pool
  settings?: GatewaySettings
  /** What statistics say beyond the counts; asked for each answer. */
  moreStats?: () => Readonly<Record<string, unknown>>
  clock?: Clock
  log?: GatewayLog
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
  /** Replaces the routes; requests under way end as they began. The `pool` function is called for each of them. */
  setRoutes(routes: readonly RouteSettings[]): void
  /** What would become of a request, and why. */
  explain(request: ExplainedRequest): Explanation
  /** The pool a route uses. */
  poolOf(route: Route): Pool
  readonly inFlight: number
}

type Upgrade = { socket: Duplex; head: Buffer }

/** Makes a gateway; nothing listens yet. */
export function createGateway(options: GatewayOptions): Gateway {
  return new HttpGateway(options)
}

class HttpGateway implements Gateway {
  readonly server: Server
  readonly #settings: GatewaySettings
  readonly #clock: Clock
  readonly #log: GatewayLog
  readonly #poolFor: (route: Route) => Pool
  readonly #moreStats: () => Readonly<Record<string, unknown>>
  #router: Router
  #pools: ReadonlyMap<Route, Pool> = new Map()
  /** What repeats are paid from, one for each service. */
  #budgets: ReadonlyMap<Route, RetryBudget> = new Map()
  readonly #stats: Stats
  readonly #backends: Backends
  readonly #parts: ExchangeParts
  readonly #trusted: (address: string) => boolean
  readonly #meshPeer: (address: string) => boolean
  readonly #upgraded = new Set<Duplex>()
  readonly #connections: Connections
  #allowBody: ((method: string, host: string, path: string) => boolean) | undefined
  #inFlight = 0
  #closing: Promise<void> | undefined

  constructor(options: GatewayOptions) {
    const { settings = {}, clock = systemClock } = options
    this.#settings = settings
    this.#clock = clock
    this.#connections = new Connections(clock)
    this.#log = options.log ?? (() => {})
    this.#poolFor = options.pool
    this.#moreStats = options.moreStats ?? (() => ({}))
    this.#router = compileRoutes([])
    this.#stats = new Stats([])
    this.setRoutes(options.routes)
    this.#trusted = peerList(settings.trustedProxies ?? [])
    this.#meshPeer = settings.meshPeers === undefined ? isNearby : peerList(settings.meshPeers)
    const { connectTimeoutMs = 1000 } = settings
    this.#backends = new Backends(connectTimeoutMs, clock)
    this.#parts = {
      clock,
      backends: this.#backends,
      connectTimeoutMs,
      firstSnapshotMs: settings.firstSnapshotMs ?? 2000,
      finished: (route, status, ms) => {
        this.#inFlight--
        this.#stats.record(route, status, ms)
      },
      closing: () => this.#closing !== undefined,
      malformed: (request) => !request.complete && this.#connections.isRefused(request.socket),
    }
    this.server = dataPort(settings, this.#connections, {
      handle: (request, response, expects) => this.#handle(request, response, expects),
      upgrade: (request, socket, head) => this.#upgrade(request, socket, head),
    })
  }

  setRoutes(settings: readonly RouteSettings[]): void {
    const router = compileRoutes(settings)
    this.#pools = new Map(router.routes.map((route) => [route, this.#poolFor(route)]))
    this.#budgets = budgetsOf(router.routes, this.#budgets)
    this.#stats.setRoutes(router.routes)
    this.#router = router
    this.#allowBody = this.#router.routes.some((route) => route.allowGetBody)
      ? (method, host, path) => this.#router.find(host, method, path)?.allowGetBody === true
      : undefined
  }

  saveStats(): SavedStats {
    return this.#stats.save()
  }

  restoreStats(saved: SavedStats): void {
    this.#stats.restore(saved)
  }

  get routes(): readonly Route[] {
    return this.#router.routes
  }

  get inFlight(): number {
    return this.#inFlight
  }

  poolOf(route: Route): Pool {
    return this.#pools.get(route) as Pool
  }

  stats(): GatewayStats {
    return this.#stats.view()
  }

  explain(request: ExplainedRequest): Explanation {
    return explain(this.#router, request, (route) => this.poolOf(route))
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
    this.#closing ??= this.#close(graceMs)
    return this.#closing
  }

  async #close(graceMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const patience = this.#clock.timer(graceMs, () => this.server.closeAllConnections())
      // A connection whose last answer went out before it could say `close` becomes idle only now.
      const sweep = (): void => {
        this.server.closeIdleConnections()
        sweeping = this.#clock.timer(50, sweep)
      }
      let sweeping = this.#clock.timer(50, sweep)
      this.server.close(() => {
        sweeping.cancel()
        patience.cancel()
        resolve()
      })
      this.server.closeIdleConnections()
      for (const socket of this.#upgraded) socket.destroy()
    })
    await this.#backends.close()
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => {})
    // node:http has let go of it: whatever becomes of it now is seen to here.
    this.#upgraded.add(socket)
    socket.on("close", () => this.#upgraded.delete(socket))
    const current = answerUnderWay(socket)
    if (current !== undefined) {
      // The caller may ask again on a connection of its own; this one still belongs to another request.
      this.#connections.refuse(socket)
      socket.resume()
      return endAfter(current, socket)
    }
    const response = new ServerResponse(request)
    response.assignSocket(socket as never)
    response.shouldKeepAlive = false
    response.on("finish", () => {
      response.detachSocket(socket as never)
      this.#connections.end(socket)
    })
    this.#handle(request, response, undefined, { socket, head })
  }

  #handle(request: IncomingMessage, response: ServerResponse, expects?: Expects, upgrade?: Upgrade): void {
    const { method = "", url = "" } = request
    if (this.#connections.isRefused(request.socket)) return
    if (response.socket === null) return this.#connections.waitForTurn(request, response, () => this.#handle(request, response, expects))
    const admitted = admit({ method, url, rawHeaders: request.rawHeaders, httpVersion: request.httpVersion }, this.#allowBody)
    if (typeof admitted === "string") return this.#refuse(request, response, admitted)
    if (expects === "unknown") return this.#refuse(request, response, "no expectation but 100-continue can be met", 417)
    if (upgrade !== undefined && (method !== "GET" || admitted.hasBody || admitted.mustBeEmpty))
      return this.#refuse(request, response, "an upgrade is a GET without a body")
    if (admitted.mustBeEmpty) return this.#onceEmpty(request, response, expects, () => this.#route(request, response, admitted))
    this.#route(request, response, admitted, expects, upgrade)
  }

  /** Goes on once the chunks of a request that must have no body turned out to be none. */
  #onceEmpty(request: IncomingMessage, response: ServerResponse, expects: Expects, then: () => void): void {
    const { socket } = request
    if (expects === "continue") response.writeContinue()
    const late = (): void => this.#refuse(request, response, "the request body did not arrive", 408)
    const patience = this.#clock.timer(this.#settings.headersTimeoutMs ?? defaultHeadersTimeoutMs, late)
    response.once("close", () => patience.cancel())
    onceKnown(request, (empty) => {
      patience.cancel()
      if (empty) then()
      else if (!this.#connections.isRefused(socket)) this.#refuse(request, response, `${request.method} with a body`)
    })
  }

  #route(request: IncomingMessage, response: ServerResponse, admitted: Admitted, expects?: Expects, upgrade?: Upgrade): void {
    const { method = "" } = request
    const { statsPath } = this.#settings
    if (statsPath !== undefined && admitted.path === statsPath && method === "GET")
      return sendBody(response, 200, { ...this.stats(), ...this.#moreStats() })
    if (this.#closing) response.shouldKeepAlive = false
    const route = admitted.target === "*" ? undefined : this.#router.find(admitted.host, method, admitted.path)
    if (route === undefined) return this.#noRoute(request, response, admitted.target)
    if (this.#inFlight >= (this.#settings.maxInFlight ?? 10_000)) {
      this.#stats.record(route, 503, 0)
      const error = new MeshError("overloaded", "too many requests are in flight; try again in a second")
      return sendError(response, error, { accept: request.headers.accept, close: admitted.hasBody && !request.complete })
    }
    const peer = this.#peer(request)
    const head = forwardHead(request.rawHeaders, peer, admitted.authority)
    this.#inFlight++
    const pool = this.#pools.get(route) as Pool
    const budget = this.#budgets.get(route) as RetryBudget
    void new Exchange(this.#parts, {
      request,
      response,
      route,
      pool,
      budget,
      admitted,
      head,
      expectsContinue: expects === "continue",
      ...(upgrade ? { upgrade } : {}),
    }).run()
  }

  #refuse(request: IncomingMessage, response: ServerResponse, why: string, status = 400): void {
    this.#stats.record(undefined, status, 0)
    this.#connections.refuse(request.socket)
    sendError(response, new MeshError("invalid_request", why), { status, close: true })
  }

  #peer(request: IncomingMessage): Peer {
    const address = plainAddress(request.socket.remoteAddress)
    return { address, trustedProxy: this.#trusted(address), inMesh: this.#meshPeer(address), secure: "encrypted" in request.socket }
  }

  #noRoute(request: IncomingMessage, response: ServerResponse, target: string): void {
    const { defaultResponse, rootAnswer, noRouteMembers } = this.#settings
    request.resume()
    if (target === "*") {
      response.writeHead(204, { allow: "GET, HEAD, OPTIONS, PUT, POST, PATCH, DELETE" }).end()
      return
    }
    const path = target.split("?", 1)[0]
    if (rootAnswer !== undefined && path === "/" && request.method === "GET") return sendBody(response, 200, rootAnswer)
    if (defaultResponse) {
      this.#stats.record(undefined, defaultResponse.statusCode, 0)
      return sendBody(response, defaultResponse.statusCode, defaultResponse.body)
    }
    this.#stats.record(undefined, 404, 0)
    const error = new MeshError("no_route", `no route for ${request.method} ${path}`)
    sendError(response, error, { accept: request.headers.accept, members: noRouteMembers })
  }
}

/** One bucket for each service: it holds what a burst of lost requests needs, filled by traffic, and little at the start. */
function budgetsOf(routes: readonly Route[], before: ReadonlyMap<Route, RetryBudget>): Map<Route, RetryBudget> {
  const services = new Map([...before].map(([route, budget]) => [route.service, budget]))
  return new Map(
    routes.map((route) => {
      const budget = services.get(route.service) ?? retryBudget({ capacity: 100, initial: 10 })
      services.set(route.service, budget)
      return [route, budget]
    }),
  )
}
