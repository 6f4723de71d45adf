import { type IncomingMessage, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Pool, RetryBudget } from "@meshwork/client-sdk/pool"
import { type Clock, MeshError } from "@meshwork/contract"
import { type AccessEntry, accessEntry } from "./access-log.ts"
import { answerUnderWay, type Connections, endAfter } from "./connections.ts"
import { defaultHeadersTimeoutMs, type Expects } from "./data-port.ts"
import { Exchange } from "./exchange.ts"
import type { ExchangeParts } from "./exchange-parts.ts"
import { type Admitted, admit } from "./guard.ts"
import { forwardHead } from "./headers.ts"
import { type LoadShedder, priorityOf } from "./load-shedder.ts"
import { createPeers, isNearby, type Peer, peerList } from "./peers.ts"
import { sendBody, sendError, sendOverloaded } from "./replies.ts"
import { onceKnown } from "./request-body.ts"
import type { GatewaySettings, Route } from "./route-settings.ts"
import type { RoutingTable } from "./routing-table.ts"
import type { Stats } from "./stats.ts"
import { askedProtocol } from "./upgrade.ts"

/** What a request meets on its way in. */
export interface EntranceParts {
  settings: GatewaySettings
  clock: Clock
  connections: Connections
  shedder: LoadShedder
  stats: Stats
  exchange: ExchangeParts
  /** The routes of this moment. */
  table: () => RoutingTable
  /** Body of the statistics path. */
  statsBody: () => unknown
  /** Sockets whose protocol was switched, or is about to be. */
  upgraded: Set<Duplex>
  access: ((entry: AccessEntry) => void) | undefined
}

type Upgrade = { socket: Duplex; head: Buffer; protocol: string }

/** The way of a request from the data port to its exchange: guard, router, load shedding; and the answers for those that do not get there. */
export class Entrance {
  readonly #parts: EntranceParts
  readonly #peerOf: (socket: Socket) => Peer

  constructor(parts: EntranceParts) {
    this.#parts = parts
    const { trustedProxies = [], meshPeers } = parts.settings
    this.#peerOf = createPeers({ trustedProxy: peerList(trustedProxies), inMesh: meshPeers === undefined ? isNearby : peerList(meshPeers) })
  }

  handle(request: IncomingMessage, response: ServerResponse, expects?: Expects, upgrade?: Upgrade): void {
    const { connections, table } = this.#parts
    const { method = "", url = "" } = request
    if (connections.isRefused(request.socket)) return
    if (response.socket === null) return connections.waitForTurn(request, response, () => this.handle(request, response, expects))
    const admitted = admit({ method, url, rawHeaders: request.rawHeaders, httpVersion: request.httpVersion }, table().allowBody)
    if (typeof admitted === "string") return this.#refuse(request, response, admitted)
    if (expects === "unknown") return this.#refuse(request, response, "no expectation but 100-continue can be met", 417)
    if (upgrade !== undefined && (method !== "GET" || admitted.hasBody || admitted.mustBeEmpty))
      return this.#refuse(request, response, "an upgrade is a GET without a body")
    if (admitted.mustBeEmpty) return this.#onceEmpty(request, response, expects, () => this.#route(request, response, admitted))
    this.#route(request, response, admitted, expects, upgrade)
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { connections, upgraded } = this.#parts
    socket.on("error", () => {})
    // node:http has let go of it: whatever becomes of it now is seen to here.
    upgraded.add(socket)
    socket.on("close", () => upgraded.delete(socket))
    const current = answerUnderWay(socket)
    if (current !== undefined) {
      // The caller may ask again on a connection of its own; this one still belongs to another request.
      connections.refuse(socket)
      socket.resume()
      return endAfter(current, socket)
    }
    const response = new ServerResponse(request)
    response.assignSocket(socket as never)
    response.shouldKeepAlive = false
    response.on("finish", () => {
      response.detachSocket(socket as never)
      connections.end(socket)
    })
    this.handle(request, response, undefined, { socket, head, protocol: askedProtocol(request) ?? "" })
  }

  /** Goes on once the chunks of a request that must have no body turned out to be none. */
  #onceEmpty(request: IncomingMessage, response: ServerResponse, expects: Expects, then: () => void): void {
    const { clock, connections, settings } = this.#parts
    const { socket } = request
    if (expects === "continue") response.writeContinue()
    const late = (): void => this.#refuse(request, response, "the request body did not arrive", 408)
    const patience = clock.timer(settings.headersTimeoutMs ?? defaultHeadersTimeoutMs, late)
    response.once("close", () => patience.cancel())
    onceKnown(request, (empty) => {
      patience.cancel()
      if (empty) then()
      else if (!connections.isRefused(socket)) this.#refuse(request, response, `${request.method} with a body`)
    })
  }

  #route(request: IncomingMessage, response: ServerResponse, admitted: Admitted, expects?: Expects, upgrade?: Upgrade): void {
    const { exchange, settings, shedder, statsBody } = this.#parts
    const { method = "", rawHeaders } = request
    if (settings.statsPath !== undefined && admitted.path === settings.statsPath && method === "GET") return sendBody(response, 200, statsBody())
    if (exchange.closing()) response.shouldKeepAlive = false
    const { router, pools, budgets } = this.#parts.table()
    const route = admitted.target === "*" ? undefined : router.find(admitted.host, method, admitted.path)
    if (route === undefined) return this.#noRoute(request, response, admitted.target)
    const peer = this.#peerOf(request.socket)
    const refusal = shedder.underPressure() ? shedder.refuses(peer.inMesh ? priorityOf(rawHeaders) : "normal") : undefined
    if (refusal !== undefined) return refusal.say(() => this.#shed(request, response, { route, why: refusal.why, hasBody: admitted.hasBody }))
    const head = forwardHead(rawHeaders, peer, admitted.authority)
    shedder.inFlight++
    void new Exchange(exchange, {
      request,
      response,
      route,
      pool: pools.get(route) as Pool,
      budget: budgets.get(route) as RetryBudget,
      admitted,
      head,
      client: peer.address,
      expectsContinue: expects === "continue",
      ...(upgrade ? { upgrade } : {}),
    }).run()
  }

  #shed(request: IncomingMessage, response: ServerResponse, { route, why, hasBody }: { route: Route; why: string; hasBody: boolean }): void {
    this.#count(request, 503, route)
    if (response.destroyed) return
    sendOverloaded(response, why, { accept: request.headers.accept, close: hasBody && !request.complete })
  }

  #refuse(request: IncomingMessage, response: ServerResponse, why: string, status = 400): void {
    this.#count(request, status)
    this.#parts.connections.refuse(request.socket)
    sendError(response, new MeshError("invalid_request", why), { status, close: true })
  }

  #noRoute(request: IncomingMessage, response: ServerResponse, target: string): void {
    const { defaultResponse, rootAnswer, noRouteMembers } = this.#parts.settings
    request.resume()
    if (target === "*") {
      response.writeHead(204, { allow: "GET, HEAD, OPTIONS, PUT, POST, PATCH, DELETE" }).end()
      return
    }
    const path = target.split("?", 1)[0]
    if (rootAnswer !== undefined && path === "/" && request.method === "GET") return sendBody(response, 200, rootAnswer)
    if (defaultResponse) {
      this.#count(request, defaultResponse.statusCode)
      return sendBody(response, defaultResponse.statusCode, defaultResponse.body)
    }
    this.#count(request, 404)
    const error = new MeshError("no_route", `no route for ${request.method} ${path}`)
    sendError(response, error, { accept: request.headers.accept, members: noRouteMembers })
  }

  /** Counts a request that gets no exchange. */
  #count(request: IncomingMessage, status: number, route?: Route): void {
    const { access, stats } = this.#parts
    stats.record(route, status, 0)
    access?.(accessEntry(request, { status, ms: 0, client: this.#peerOf(request.socket).address, ...(route === undefined ? {} : { route }) }))
  }
}
