import { MeshError } from "@meshwork/contract"
import Fastify, { type FastifyInstance } from "fastify"
import { validatorCompiler } from "fastify-type-provider-zod"
import type { Logger } from "pino"
import { AllowedMethods } from "./allowed-methods.ts"
import { parseJsonBody } from "./json-body.ts"
import { refuseConnection, sendProblem, toMeshError } from "./problem-replies.ts"

const bodyLimit = 256 * 1024

/** A Fastify application without routes: limits, JSON bodies, validation by zod, and problem bodies for every error. */
export function createHttpApp(log: Logger): FastifyInstance {
  const app: FastifyInstance = Fastify({
    logger: false,
    bodyLimit,
    requestTimeout: 15_000,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 4096 },
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 1000 },
    clientErrorHandler: refuseConnection,
    frameworkErrors: (error, _, reply) => void sendProblem(reply as never, toMeshError(error, bodyLimit)),
  })
  const methods = new AllowedMethods()
  app.addHook("onRoute", (route) => methods.add(route.url, route.method))

  app.setValidatorCompiler((route) => {
    const validate = validatorCompiler(route as never)
    // Fastify says null for what is absent; to zod only undefined is.
    return (data: unknown) => validate(data ?? undefined)
  })
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
