import type { IncomingMessage, ServerResponse } from "node:http"
import { type CallContext, runInContext } from "../context.ts"
import { IncomingContext, type MeshContextOptions, tooLate } from "./incoming-context.ts"

/** A handler of `node:http`, or one that hands on, as Express does. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => unknown

/** Wraps a handler; called with a request it is Express middleware itself. */
export type NodeContext = ((handler: NodeHandler) => (request: IncomingMessage, response: ServerResponse) => void) & NodeHandler

export interface NodeContextOptions extends MeshContextOptions {
  /** The route of a request, for metrics; never its path. Default: Express's, else `other`. */
  routeOf?: (request: IncomingMessage) => string
}

/**
 * Gives every request its context: deadline from `X-Request-Timeout`, priority, both inherited by every client call in the handler.
 * `createServer(meshContext()(handler))`, or `app.use(meshContext())` in Express.
 */
export function meshContext(options: NodeContextOptions = {}): NodeContext {
  const incoming = new IncomingContext(options)
  const enter = (request: IncomingMessage, response: ServerResponse, work: () => unknown): void => {
    incoming.observe(request.headers, request.method ?? "", response, () => (options.routeOf ?? expressRoute)(request))
    const context = incoming.read(request.headers)
    if (context === undefined) return refuse(response)
    incoming.load.enter()
    response.once("close", () => incoming.load.leave())
    response.setHeader("x-meshwork-load", incoming.load.header())
    const whole: CallContext = incoming.cancelOnTimeout ? { ...context, signal: cancelAt(context, response) } : context
    runInContext(whole, work)
  }
  function wrap(first: NodeHandler | IncomingMessage, response?: ServerResponse, next?: (error?: unknown) => void): unknown {
    if (typeof first !== "function") return response && enter(first, response, () => next?.())
    return (request: IncomingMessage, answer: ServerResponse) => enter(request, answer, () => first(request, answer))
  }
  return wrap as NodeContext
}

function expressRoute(request: IncomingMessage): string {
  const { baseUrl = "", route } = request as { baseUrl?: string; route?: { path?: unknown } }
  return typeof route?.path === "string" ? `${baseUrl}${route.path}` : "other"
}

function cancelAt(context: CallContext, response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  const timer = context.deadline?.timer(() => {
    controller.abort()
    if (!response.headersSent) refuse(response)
  })
  response.once("close", () => timer?.cancel())
  return controller.signal
}

function refuse(response: ServerResponse): void {
  const { status, headers, body } = tooLate()
  response.writeHead(status, headers).end(JSON.stringify(body))
}
