import { z } from "zod"
import { localUrl } from "../local-url.ts"
import type { MeshConfigInput } from "../model.ts"
import { isMapping, mapping, requestPath, serviceName, text, value } from "../values.ts"
import { serviceSchema, type ServerPyService } from "./serverpy-service.ts"
import type { Outline, Spelling } from "./spelling.ts"

const optional = z.exactOptional
const reserved = "meta-info"
const host = "127.0.0.1"
const usual = { discovery: 8008, processor: 8001 }
const adminPorts = [8009, 8010, 8011]

const port = value("a port from 1 to 65535, or 0 for a free one", (found) =>
  typeof found === "number" && Number.isInteger(found) && found >= 0 && found <= 65_535 ? found : undefined,
)
const name = text("a text of 1 to 256 characters").refine((found) => found.length <= 256)

const metaInfo = mapping({
  discovery_server_name: optional(name),
  request_processor_name: optional(name),
  discovery_server_port: optional(port),
  request_processor_port: optional(port),
})
type MetaInfo = z.output<typeof metaInfo>

/** A whole file of ServerPy: services by name, and `meta-info`. */
export const documentSchema: z.ZodType<MeshConfigInput> = z.unknown().transform((found, context): MeshConfigInput => {
  const document = isMapping(found) ? found : {}
  const services = new Map<string, ServerPyService>()
  let meta: MetaInfo = {}
  for (const [key, section] of Object.entries(document)) {
    const parsed = key === reserved ? metaInfo.safeParse(section) : serviceSchema.safeParse(section)
    for (const issue of parsed.error?.issues ?? []) context.issues.push({ ...issue, path: [key, ...issue.path], input: found } as z.core.$ZodRawIssue)
    if (key === reserved) meta = (parsed.data as MetaInfo | undefined) ?? {}
    else if (!serviceName.safeParse(key).success)
      refuse(context, [key], "this name is not accepted; accepted is a name of at most 128 printable characters without '/'")
    else if (parsed.data !== undefined) services.set(key, parsed.data as ServerPyService)
  }
  if (Object.keys(document).every((key) => key === reserved)) refuse(context, [], "the file names no service")
  for (const { path, message } of sharedApis(document)) refuse(context, path, message)
  return modelOf(services, meta)
})

function refuse(context: z.core.ParsePayload, path: (string | number)[], message: string): void {
  context.issues.push({ code: "custom", message, path, input: undefined })
}

function modelOf(services: ReadonlyMap<string, ServerPyService>, meta: MetaInfo): MeshConfigInput {
  const discoveryPort = meta.discovery_server_port ?? usual.discovery
  const port = meta.request_processor_port ?? usual.processor
  return {
    discovery: { host, port: discoveryPort, name: meta.discovery_server_name ?? "Discovery Server" },
    gateway: {
      host,
      port,
      // The original had no third port, so whatever its file asks for comes first.
      adminPort: adminPorts.find((free) => free !== port && free !== discoveryPort) ?? 0,
      name: meta.request_processor_name ?? "Request Processor",
      discovery: [localUrl(host, discoveryPort)],
      registered: true,
      rootAnswer: { status: "Success" },
      noRouteMembers: { status: "No API found with provided endpoint" },
    },
    services: Object.fromEntries([...services].map(([service, { instances }]) => [service, { instances }])),
    routes: [...services].flatMap(([service, { apis }]) => [...new Set(apis.map(bare))].map((path) => routeOf(path, service))),
  }
}

function routeOf(path: string, service: string): NonNullable<MeshConfigInput["routes"]>[number] {
  return {
    match: "exact-or-slash",
    path,
    target: { kind: "service", name: service },
    balancer: "availability",
    whenAllFail: "fail",
    unreachableStatus: 502,
    allowGetBody: true,
  }
}

/** One trailing slash says nothing. */
const bare = (path: string): string => (path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path)

/** Every api that a service lists although another one does. */
function sharedApis(document: Readonly<Record<string, unknown>>): { path: (string | number)[]; message: string }[] {
  const owners = new Map<string, string>()
  return Object.entries(document).flatMap(([service, section]) => {
    const apis = isMapping(section) && service !== reserved ? section["apis"] : undefined
    return (Array.isArray(apis) ? apis : []).flatMap((api: unknown, index) => {
      const path = requestPath.safeParse(api).data
      if (path === undefined) return []
      const owner = owners.get(bare(path))
      if (owner === undefined) owners.set(bare(path), service)
      if (owner === undefined || owner === service) return []
      const message = `the api ${JSON.stringify(path)} belongs to one service only, and both ${JSON.stringify(owner)} and ${JSON.stringify(service)} list it`
      return [{ path: [service, "apis", index], message }]
    })
  })
}

const marks = ["servers", "polling", "apis"]
const sections = ["discovery", "gateway", "services", "backends", "routes", "defaultResponse"]

/** ServerPy's file, JSON or YAML. */
export const serverpySpelling: Spelling = {
  name: "serverpy",
  recognises(document) {
    if (reserved in document) return true
    const entries = Object.entries(document)
    const marked = entries.filter(([key, section]) => {
      if (!isMapping(section)) return false
      const count = marks.filter((mark) => Object.hasOwn(section, mark)).length
      // A service may be called `services`, and a service of Meshwork's own `servers`: then one mark is not enough.
      return count >= (sections.includes(key) ? 2 : 1)
    })
    return marked.length > 0 || (entries.length > 0 && entries.every(([key, section]) => !sections.includes(key) && isEmptyMapping(section)))
  },
  schema: documentSchema,
  outline,
}

function isEmptyMapping(section: unknown): boolean {
  return isMapping(section) && Object.keys(section).length === 0
}

function outline(document: Readonly<Record<string, unknown>>): Outline {
  const meta = document[reserved]
  const listened = (key: string, otherwise: number) => {
    const found = isMapping(meta) && key in meta ? port.safeParse(meta[key]).data : otherwise
    return found ? [{ at: [reserved, key], port: found }] : []
  }
  return {
    services: new Set(Object.keys(document).filter((key) => key !== reserved)),
    backends: new Map(),
    // Apis that meet are told with both names by the schema.
    routes: [],
    ports: [...listened("discovery_server_port", usual.discovery), ...listened("request_processor_port", usual.processor)],
    asksDiscovery: true,
  }
}
