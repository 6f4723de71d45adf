import { MeshError } from "@meshwork/contract"
import Fastify, { type FastifyInstance } from "fastify"
import { validatorCompiler } from "fastify-type-provider-zod"
import type { Logger } from "pino"
import { AllowedMethods } from "./allowed-methods.ts"
import { limitBodiesUnderWay } from "./body-budget.ts"
import { parseJsonBody } from "./json-body.ts"
import { arePlainNames, plainBodies } from "./plain-input.ts"
import { refuseConnection, sendProblem, toMeshError } from "./problem-replies.ts"

const bodyLimit = 256 * 1024
const bodiesUnderWayLimit = 128 * 1024 * 1024
/** Beyond the watchers a registry takes, room for everyone else. */
const maxConnections = 25_000

/** A Fastify application without routes: limits, JSON bodies, validation by zod, and problem bodies for every error. */
export function createHttpApp(log: Logger): FastifyInstance {
  const app: FastifyInstance = Fastify({
    logger: false,
    bodyLimit,
    requestTimeout: 15_000,
    // Without a byte either way: whoever takes nothing of an answer holds its memory no longer. Watches are never this quiet.
    connectionTimeout: 60_000,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 4096 },
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 1000, requireHostHeader: false },
    clientErrorHandler: refuseConnection,
    frameworkErrors: (error, _, reply) => void sendProblem(reply as never, toMeshError(error, bodyLimit)),
  })
  app.server.maxConnections = maxConnections
  // Hooks that every request passes say when they are done: a promise each would cost more than what they do.
  app.addHook("onRequest", (request, _, done) => {
    const nameless = request.headers.host === undefined && request.raw.httpVersion === "1.1"
    done(nameless ? new MeshError("invalid_request", "a request without a Host header") : undefined)
  })
  limitBodiesUnderWay(app, { limitBytes: bodiesUnderWayLimit, largestBytes: bodyLimit })
  const methods = new AllowedMethods()
  app.addHook("onRoute", (route) => methods.add(route.url, route.method))

  app.setValidatorCompiler((route) => {
    const validate = validatorCompiler(route as never)
    // Fastify says null for what is absent; to zod only undefined is.
    if (route.httpPart === "params") return (data: object) => (arePlainNames(data) ? { value: data } : validate(data))
    const isPlain = route.httpPart === "body" ? plainBodies.get(route.url ?? "") : undefined
    if (isPlain !== undefined) return (data: unknown) => (isPlain(data) ? { value: data } : validate(data ?? undefined))
    if (route.httpPart !== "querystring") return (data: unknown) => validate(data ?? undefined)
    // Hardly any request has a query, and what none means does not change.
    const none = validate({})
    return (data: object) => (Object.keys(data).length === 0 ? none : validate(data))
  })
  // Answers are made by our own types; checking them again would be paid for by every reader.
  app.setSerializerCompiler(() => JSON.stringify)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(["application/json", "application/merge-patch+json"], { parseAs: "string" }, (_, body, done) => {
    try {
      done(null, parseJsonBody(String(body)))
    } catch (error) {
      done(error as Error, undefined)
    }
  })

  app.setErrorHandler((error, request, reply) => {
    const known = toMeshError(error, bodyLimit)
    if (MeshError.from(known).code === "internal")
      log.error({ err: error, method: request.method, route: request.routeOptions.url }, "a request failed")
    return sendProblem(reply, known)
  })
  app.setNotFoundHandler((request, reply) => {
    const allowed = methods.of(request.raw.url ?? "")
    if (allowed.length === 0) return sendProblem(reply, new MeshError("not_found", "there is nothing at this path"))
    void reply.header("allow", allowed.join(", "))
    return sendProblem(reply, new MeshError("method_not_allowed", `this path takes ${allowed.join(", ")}, not ${request.method}`))
  })
  return app
}
