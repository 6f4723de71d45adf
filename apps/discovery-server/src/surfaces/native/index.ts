import { routes, type Clock, type RouteDefinition, type RouteName } from "@meshwork/contract"
import type { Registry } from "@meshwork/registry-core"
import type { FastifyInstance, FastifyReply } from "fastify"
import type { Authorize } from "../../access.ts"
import type { HealthPolling } from "../../health-polling.ts"
import type { GatewayReports } from "../../reports.ts"
import { createHandlers, type Answer, type Call } from "./handlers.ts"
import { routeSchema } from "./route-schema.ts"
import { WatchHub } from "./watch-hub.ts"

export interface NativeContext {
  registry: Registry
  polling: HealthPolling
  reports: GatewayReports
  authorize: Authorize
  clock: Clock
}

const jsonType = "application/json; charset=utf-8"

/** Registers the native routes by walking the contract's table, and `GET /ready`. */
export function registerNative(app: FastifyInstance, context: NativeContext): void {
  const { registry, polling, reports, authorize, clock } = context
  const hub = new WatchHub(registry, clock)
  app.addHook("preClose", async () => hub.close())
  const handlers = createHandlers({ registry, polling, hub, reports })
  app.decorateRequest("by", "")
  for (const name of Object.keys(routes) as RouteName[]) {
    const route: RouteDefinition = routes[name]
    const handle = handlers[name] as (input: unknown, call: Call) => Promise<Answer | "hijacked"> | Answer | "hijacked"
    app.route({
      method: route.method,
      url: route.path,
      exposeHeadRoute: !Object.values(route.replies).includes("events"),
      schema: routeSchema(name, route),
      ...(route.mutates
        ? {
            // Before the body is read: whoever may not change anything sends nothing either.
            onRequest: (request, _, done) => {
              request.setDecorator("by", authorize(request.headers.authorization, request.ip))
              done()
            },
          }
        : {}),
      handler: (request, reply) => {
        const { params, query, body } = request
        const answer = handle({ params, query, body }, { by: request.getDecorator<string>("by"), request, reply })
        // What is known at once is sent at once: heartbeats and reads wait for nothing.
        return answer instanceof Promise ? answer.then((later) => send(reply, later)) : send(reply, answer)
      },
    })
  }
  app.get("/ready", async (_, reply) => {
    const readiness = registry.readiness()
    return reply.code(readiness.ready ? 200 : 503).send(readiness)
  })
}

function send(reply: FastifyReply, answer: Answer | "hijacked"): FastifyReply {
  if (answer === "hijacked") return reply
  void reply.code(answer.status)
  if (answer.headers !== undefined) void reply.headers(answer.headers)
  const { body = answer.json === undefined ? undefined : JSON.stringify(answer.json) } = answer
  return body === undefined ? reply.send() : reply.header("content-type", jsonType).send(body)
}
