import { type CallContext, runInContext } from "../context.ts"
import { IncomingContext, type MeshContextOptions, tooLate } from "./incoming-context.ts"

interface RequestLike {
  headers: Readonly<Record<string, string | string[] | undefined>>
  method: string
  routeOptions?: { config?: unknown; url?: string | undefined }
}

interface ReplyLike {
  code(status: number): ReplyLike
  headers(values: Record<string, string>): ReplyLike
  header(name: string, value: string): ReplyLike
  send(body: unknown): unknown
  readonly sent: boolean
  readonly raw: { statusCode: number; readonly writableFinished: boolean; once(event: "close", listener: () => void): unknown }
}

/** What of a Fastify instance the plugin uses; told structurally, so that this package needs no Fastify. */
interface FastifyLike {
  // oxlint-disable-next-line typescript/no-explicit-any -- Fastify's own signature is generic over everything
  addHook(name: "onRequest", hook: (request: any, reply: any, done: () => void) => void): unknown
}

export type FastifyContext = (app: FastifyLike, options: unknown, done: () => void) => void

/**
 * A Fastify plugin that gives every request its context: `await app.register(meshContext())`. A route's own time limit is
 * `config: { timeoutMs }`.
 */
export function meshContext(options: MeshContextOptions = {}): FastifyContext {
  const incoming = new IncomingContext(options)
  const onRequest = (request: RequestLike, reply: ReplyLike, done: () => void): void => {
    incoming.observe(request.headers, request.method, reply.raw, () => request.routeOptions?.url ?? "other")
    const config = request.routeOptions?.config as { timeoutMs?: unknown } | undefined
    const context = incoming.read(request.headers, typeof config?.timeoutMs === "number" ? config.timeoutMs : undefined)
    if (context === undefined) return refuse(reply)
    incoming.load.enter()
    reply.raw.once("close", () => incoming.load.leave())
    reply.header("x-meshwork-load", incoming.load.header())
    runInContext(incoming.cancelOnTimeout ? { ...context, signal: cancelAt(context, reply) } : context, done)
  }
  const plugin: FastifyContext = (app, _options, done) => {
    app.addHook("onRequest", onRequest)
    done()
  }
  // The context is for the routes beside the plugin, not for those inside it.
  return Object.assign(plugin, { [Symbol.for("skip-override")]: true, [Symbol.for("fastify.display-name")]: "meshwork-context" })
}

function cancelAt(context: CallContext, reply: ReplyLike): AbortSignal {
  const controller = new AbortController()
  const timer = context.deadline?.timer(() => {
    controller.abort()
    if (!reply.sent) refuse(reply)
  })
  reply.raw.once("close", () => timer?.cancel())
  return controller.signal
}

function refuse(reply: ReplyLike): void {
  const { status, headers, body } = tooLate()
  reply.code(status).headers(headers).send(JSON.stringify(body))
}
