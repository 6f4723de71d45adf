import { keyText, MeshError, type InstanceKey, type RouteName, type RouteRequest, type Routes } from "@meshwork/contract"
import type { Registry } from "@meshwork/registry-core"
import type { FastifyReply, FastifyRequest } from "fastify"
import type { HealthPolling } from "../../health-polling.ts"
import type { GatewayReports } from "../../reports.ts"
import { etagMatches, InstanceLists } from "./instance-list.ts"
import type { WatchHub } from "./watch-hub.ts"

/** What a handler knows of a request beside its parsed parts. */
export interface Call {
  /** Who makes a change. */
  by: string
  request: FastifyRequest
  reply: FastifyReply
}

/** An answer: JSON as a value, or already serialised. */
export interface Answer {
  status: number
  json?: unknown
  body?: Buffer
  headers?: Record<string, string>
}

/** Answers one route; `hijacked` when it writes to the connection itself. */
export type Handler<N extends RouteName> = (input: RouteRequest<Routes[N]>, call: Call) => Promise<Answer | "hijacked"> | Answer | "hijacked"
export type Handlers = { readonly [N in RouteName]: Handler<N> }

/** What the handlers answer from. */
interface HandlerParts {
  registry: Registry
  polling: HealthPolling
  hub: WatchHub
  reports: GatewayReports
}

/** A handler for every native route. */
export function createHandlers({ registry, polling, hub, reports }: HandlerParts): Handlers {
  const lists = new InstanceLists(registry)
  return {
    listServices: () => ({ status: 200, json: { ...registry.position, services: registry.services() } }),
    listInstances: ({ params, query }, { request }) => {
      const { etag, body } = lists.read(params.service, query)
      if (etagMatches(request.headers["if-none-match"], etag)) return { status: 304, headers: { etag } }
      return { status: 200, headers: { etag }, body: body() }
    },
    getInstance: ({ params }) => {
      const instance = registry.get(params)
      if (instance === undefined) throw unknown(params)
      const probing = polling.probing(params)
      return { status: 200, json: probing === undefined ? instance : { ...instance, probing } }
    },
    register: async ({ params, body }, { by }) => {
      const { instance, created } = await registry.register(params, body, { origin: "api", by })
      return { status: created ? 201 : 200, json: { instance } }
    },
    heartbeat: ({ params, body }) => {
      const beat = registry.heartbeat(Object.assign(body, params))
      if (beat.status === 404) throw new MeshError("not_found", `${keyText(params)} is not registered, or by another process: register again`)
      return beat.status === 202 ? { status: 202, json: { pending: true } } : { status: 200, json: { expiresAt: beat.expiresAt } }
    },
    heartbeats: ({ body }) => {
      const results = body.beats.map((beat) => ({ service: beat.service, id: beat.id, ...registry.heartbeat(beat) }))
      return { status: 200, json: { results } }
    },
    patchInstance: async ({ params, query, body }, { by }) => ({
      status: 200,
      json: { instance: await registry.patch(params, body, { by, ...query }) },
    }),
    deregister: async ({ params, query }, { by }) => {
      await registry.deregister(params, { by, ...query })
      return { status: 204 }
    },
    findInstances: ({ query }) => ({ status: 200, json: { ...registry.position, instances: registry.findByRepo(query.repo) } }),
    watch: ({ query }, { request, reply }) => {
      hub.open(request, reply, query)
      return "hijacked"
    },
    journal: ({ query }) => ({ status: 200, json: { entries: registry.journal(query) } }),
    report: ({ body }) => {
      reports.accept(body)
      return { status: 204 }
    },
  }
}

function unknown(key: InstanceKey): MeshError {
  return new MeshError("not_found", `${keyText(key)} is not registered`)
}
