import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import type { Connections } from "./connections.ts"
import type { GatewaySettings } from "./route-settings.ts"

/** How long a client may take for a request head where nothing else is set, ms. */
export const defaultHeadersTimeoutMs = 10_000

/** What a caller expects before it sends its body. */
export type Expects = "continue" | "unknown" | undefined

/** Who takes what arrives at the data port. */
export interface DataPortHandlers {
  handle(request: IncomingMessage, response: ServerResponse, expects: Expects): void
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** Makes the HTTP server of the data port with its limits; what is no HTTP never gets beyond it. */
export function dataPort(settings: GatewaySettings, connections: Connections, to: DataPortHandlers): Server {
  const { maxHeaderBytes = 16_384, headersTimeoutMs = defaultHeadersTimeoutMs, keepAliveTimeoutMs = 65_000, maxConnections = 20_000 } = settings
  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersTimeoutMs,
    // A route's time limit ends slow bodies; a body that arrives steadily may take as long as it takes.
    requestTimeout: 0,
    connectionsCheckingInterval: 1000,
    keepAliveTimeout: keepAliveTimeoutMs,
    insecureHTTPParser: false,
    // More than one Host is the guard's business, which can say what is wrong.
    requireHostHeader: false,
    shouldUpgradeCallback: (request: IncomingMessage) => request.headers.upgrade?.toLowerCase() === "websocket" && request.httpVersion === "1.1",
  } as Parameters<typeof createServer>[0])
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
