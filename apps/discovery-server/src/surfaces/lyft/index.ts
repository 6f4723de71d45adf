import { type Instance, MeshError, formatHostPort } from "@meshwork/contract"
import type { Registry } from "@meshwork/registry-core"
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import type { Authorize } from "../../access.ts"
import { createAutoIp, defaultAutoIpNetworks } from "./auto-ip.ts"
import { bearerOf } from "./basic-auth.ts"
import { fieldsOf, parseBodiesAsFields } from "./body-fields.ts"
import { mergedRegistration } from "./host.ts"
import { hostsOfRepo, hostsOfService } from "./host-list.ts"
import { readWeight } from "./load-balancing.ts"
import { ipLiteral, portNumber, readRegistration } from "./registration-request.ts"
import type { LyftSettings } from "./settings.ts"

export interface LyftContext {
  registry: Registry
  authorize: Authorize
  settings: LyftSettings
}

interface Host {
  Params: { service: string; ip: string }
  Querystring: { port?: unknown }
}

const service = "/v1/registration/:service"
const balancing = "/v1/loadbalancing/:service"

/** Registers the routes that lyft/discovery's users call. Throws `invalid_config` for settings that do not parse. */
export function registerLyft(app: FastifyInstance, context: LyftContext): void {
  const autoIp = createAutoIp(context.settings.autoIpNetworks ?? defaultAutoIpNetworks)
  void app.register(async (lyft) => addRoutes(lyft, context, autoIp))
}

function addRoutes(lyft: FastifyInstance, { registry, authorize, settings }: LyftContext, autoIp: ReturnType<typeof createAutoIp>): void {
  const { hostTtlSeconds = 600, environment = "development", cacheSeconds } = settings
  const env = JSON.stringify(environment)
  parseBodiesAsFields(lyft)
  lyft.decorateRequest("lyftCaller", "")
  lyft.setErrorHandler(async (error, _, reply) => {
    if (!isBadRequest(error)) throw error
    return reply.code(400).send({})
  })
  // Clients that wait to be asked for a password know the Basic scheme only.
  lyft.addHook("onSend", async (_, reply) => {
    if (reply.statusCode === 401) void reply.header("www-authenticate", 'Basic realm="meshwork", Bearer realm="meshwork"')
  })
  const guarded = {
    onRequest: async (request: FastifyRequest) => request.setDecorator("lyftCaller", authorize(bearerOf(request.headers.authorization), request.ip)),
  }
  const callerOf = (request: FastifyRequest) => request.getDecorator<string>("lyftCaller")
  const list = (reply: FastifyReply, key: string, value: string, hosts: string) => {
    if (cacheSeconds !== undefined) void reply.header("cache-control", `max-age=${cacheSeconds}`)
    return reply.type("application/json; charset=utf-8").send(`{"${key}":${JSON.stringify(value)},"env":${env},"hosts":${hosts}}`)
  }

  lyft.get("/healthcheck", async (_, reply) => reply.type("text/plain; charset=utf-8").send("OK"))

  lyft.get<Host>(service, async ({ params }, reply) => list(reply, "service", params.service, hostsOfService(registry, params.service)))

  lyft.get<{ Params: { repo: string } }>("/v1/registration/repo/:repo", async ({ params }, reply) =>
    list(reply, "service_repo_name", params.repo, hostsOfRepo(registry, params.repo)),
  )

  lyft.post<Host>(service, guarded, async (request, reply) => {
    const forwardedFor = request.headers["x-forwarded-for"]
    const sent = readRegistration(request.params.service, fieldsOf(request.body), () => autoIp(forwardedFor, request.ip))
    if ("refused" in sent) return reply.code(400).send(sent.refused)
    const key = { service: request.params.service, id: formatHostPort(sent.ip, sent.port) }
    await registry.register(key, (current) => mergedRegistration(current, sent, hostTtlSeconds), { origin: "lyft", by: callerOf(request) })
    return {}
  })

  lyft.delete<Host>(`${service}/:ip`, guarded, async (request, reply) => {
    const { port: portText } = request.query
    const port = typeof portText === "string" ? portNumber(portText) : undefined
    if (portText !== undefined && port === undefined) return reply.code(400).send({})
    const found = known(
      registry,
      instancesAt(registry, request.params).filter((instance) => port === undefined || instance.port === port),
    )
    const removed = await each(found, (instance) => registry.deregister(instance, { by: callerOf(request) }))
    return reply.code(removed > 0 ? 200 : 400).send({})
  })

  lyft.post<Host>(balancing, guarded, async (request, reply) => {
    const weight = readWeight(fieldsOf(request.body))
    if (typeof weight !== "number") return reply.code(400).send(weight.refused)
    await each(known(registry, registry.list(request.params.service).instances), (instance) =>
      registry.patch(instance, { weight }, { by: callerOf(request) }),
    )
    return reply.code(204).send()
  })

  lyft.post<Host>(`${balancing}/:ip`, guarded, async (request, reply) => {
    const weight = readWeight(fieldsOf(request.body))
    if (typeof weight !== "number") return reply.code(400).send(weight.refused)
    const set = await each(known(registry, instancesAt(registry, request.params)), (instance) =>
      registry.patch(instance, { weight }, { by: callerOf(request) }),
    )
    return set > 0 ? reply.code(204).send() : reply.code(404).send({ error: "Host not found" })
  })
}

/** Instances to be changed; that there are none is old news while the storage is not reached, and refused. */
function known(registry: Registry, instances: readonly Instance[]): readonly Instance[] {
  if (instances.length === 0 && registry.staleSince() !== undefined)
    throw new MeshError("storage_unavailable", "the storage is not reached, so who is registered is not known here; ask another server, or again")
  return instances
}

function instancesAt(registry: Registry, { service: name, ip }: Host["Params"]): Instance[] {
  const host = ipLiteral(ip)
  return host === undefined ? [] : registry.list(name).instances.filter((instance) => instance.host === host)
}

/** Does something to every instance, all at once; how many there still were. Rejects when one fails otherwise than by being gone. */
async function each(instances: readonly Instance[], act: (key: { service: string; id: string }) => Promise<unknown>): Promise<number> {
  const there = await Promise.all(
    instances.map(async ({ service: name, id }) => {
      try {
        await act({ service: name, id })
        return true
      } catch (error) {
        if (MeshError.from(error).code === "not_found") return false
        throw error
      }
    }),
  )
  return there.filter(Boolean).length
}

/** Whether a request was refused for what it said, by the registry or by Fastify. */
function isBadRequest(error: unknown): boolean {
  if (MeshError.is(error)) return error.code === "invalid_request"
  const { statusCode } = error as { statusCode?: number }
  return statusCode === 400 || statusCode === 415
}
