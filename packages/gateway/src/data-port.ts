import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer as createSecureServer, type ServerOptions } from "node:https"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { createSecureContext, type TLSSocket } from "node:tls"
import type { Connections } from "./connections.ts"
import type { GatewaySettings } from "./route-settings.ts"
import { askedProtocol } from "./upgrade.ts"

/** How long a client may take for a request head where nothing else is set, ms. */
export const defaultHeadersTimeoutMs = 10_000

/** What a caller expects before it sends its body. */
export type Expects = "continue" | "unknown" | undefined

/** A certificate and its key, as PEM; the certificate with the chain that leads to it. */
export interface KeyPair {
  cert: string
  key: string
}

/** Who takes what arrives at the data port. */
export interface DataPortHandlers {
  handle(request: IncomingMessage, response: ServerResponse, expects: Expects): void
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

/**
 * Makes the HTTP server of the data port with its limits, with TLS where there is a pair; what is no HTTP never gets beyond it. Throws what
 * node:tls says of a pair that does not fit.
 */
export function dataPort(settings: GatewaySettings, connections: Connections, to: DataPortHandlers, pair?: KeyPair): Server {
  const { maxHeaderBytes = 16_384, headersTimeoutMs = defaultHeadersTimeoutMs, keepAliveTimeoutMs = 65_000, maxConnections = 20_000 } = settings
  const options: ServerOptions & { shouldUpgradeCallback: (request: IncomingMessage) => boolean } = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersTimeoutMs,
    // A route's time limit ends slow bodies; a body that arrives steadily may take as long as it takes.
    requestTimeout: 0,
    connectionsCheckingInterval: 1000,
    keepAliveTimeout: keepAliveTimeoutMs,
    insecureHTTPParser: false,
    // More than one Host is the guard's business, which can say what is wrong.
    requireHostHeader: false,
    shouldUpgradeCallback: (request: IncomingMessage) => askedProtocol(request) !== undefined,
  }
  const server = pair === undefined ? createServer(options) : secureServer({ ...options, ...pair, handshakeTimeout: headersTimeoutMs }, connections)
  connections.bound(server, maxConnections)
  server.on("request", (request: IncomingMessage, response: ServerResponse) => to.handle(request, response, undefined))
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    to.handle(request, response, request.headers.expect?.toLowerCase() === "100-continue" ? "continue" : "unknown")
  })
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => to.handle(request, response, "unknown"))
  server.on("connect", (_request: IncomingMessage, socket: Duplex) => connections.endWith(socket, 400, "CONNECT is not served here"))
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => to.upgrade(request, socket, head))
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    const status = error.code === "HPE_HEADER_OVERFLOW" ? 431 : error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400
    if (error.code === "ECONNRESET") return void socket.destroy()
    connections.endWith(socket, status, `not an HTTP request that can be passed on (${error.code ?? error.message})`)
  })
  return server
}

/** What is offered to every caller beside the pair; also when another pair takes its place. */
export const tlsOffer = { minVersion: "TLSv1.2", ALPNProtocols: ["http/1.1"] } as const

/** Throws what node:tls says of a pair that is none, or does not fit together. */
export function checkPair({ cert, key }: KeyPair): void {
  // node:tls takes an empty text for "no certificate", and refuses every caller.
  if (cert.trim() === "" || key.trim() === "") throw new Error(`the ${cert.trim() === "" ? "certificate" : "key"} is empty`)
  createSecureContext({ cert, key })
}

function secureServer(options: ServerOptions & KeyPair, connections: Connections): Server {
  checkPair(options)
  const server = createSecureServer({ ...options, ...tlsOffer })
  server.on("connection", (socket: Socket) => connections.shaking(socket))
  server.on("secureConnection", (socket: TLSSocket) => connections.shaken(socket))
  // Plain HTTP, scanners, those who do not trust the certificate: node:tls has destroyed the socket.
  server.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy())
  return server
}
