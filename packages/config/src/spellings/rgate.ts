import { z } from "zod"
import { balancerNames, type MeshConfigInput } from "../model.ts"
import { duration, type Finding, isMapping, listenPort, mapping, oneOf, requestPath, serviceName, whole } from "../values.ts"
import { gatewayInput, gatewaySection, json, matchLabels } from "./meshwork.ts"
import type { Outline, Spelling } from "./spelling.ts"

const optional = z.exactOptional

/** An entry of `routes`; what rgate does not have is Meshwork's. */
const rgateRoute = mapping({
  path_prefix: requestPath,
  backend: serviceName,
  balancer: optional(oneOf(balancerNames)),
  timeout: optional(duration(1, 86_400_000)),
  attempts: optional(whole(1, 10)),
})

/** An entry of `backends`. */
const rgateBackend = mapping({ name: serviceName, match_labels: matchLabels })

const sections = {
  routes: optional(z.array(rgateRoute)),
  default_response: optional(mapping({ body: optional(json), status_code: optional(whole(200, 599, "a status from 200 to 599")) })),
  backends: optional(z.array(rgateBackend)),
  gateway: optional(gatewaySection),
}

/** A whole config.yml of rgate, in which a section `gateway` may say what is Meshwork's alone. */
const documentSchema: z.ZodType<MeshConfigInput> = z
  .preprocess(
    (found) =>
      isMapping(found) ? Object.fromEntries(Object.entries(found).filter(([key, section]) => section !== null || !(key in sections))) : found,
    mapping(sections, backendsTwice),
  )
  .transform(({ routes = [], backends = [], default_response: answer, gateway = {} }): MeshConfigInput => {
    return {
      gateway: gatewayInput(gateway, { discovery: [], statsPath: "/stats" }),
      backends: Object.fromEntries(backends.map(({ name, match_labels }) => [name, { matchLabels: match_labels }])),
      routes: routes.map(({ path_prefix, backend, balancer = "random", timeout, attempts }) => ({
        match: "prefix" as const,
        path: prefixPath(path_prefix),
        target: { kind: "backend" as const, name: backend },
        balancer,
        unreachableStatus: 503 as const,
        allowGetBody: true,
        ...(timeout === undefined ? {} : { timeoutMs: timeout }),
        ...(attempts === undefined ? {} : { attempts }),
      })),
      ...(answer === undefined ? {} : { defaultResponse: { statusCode: answer.status_code ?? 404, body: answer.body ?? "" } }),
    }
  })

const ownKeys = ["discovery", "services", "defaultResponse"]

/** rgate's config.yml. */
export const rgateSpelling: Spelling = {
  name: "rgate",
  recognises(document) {
    if (ownKeys.some((key) => key in document)) return false
    const { routes } = document
    const prefixed = Array.isArray(routes) && routes.some((route) => isMapping(route) && "path_prefix" in route)
    return prefixed || "default_response" in document || Array.isArray(document["backends"])
  },
  schema: documentSchema,
  outline,
}

function outline(document: Readonly<Record<string, unknown>>): Outline {
  const gateway = document["gateway"]
  const list = (key: string) => (Array.isArray(document[key]) ? (document[key] as unknown[]) : [])
  const port = (key: string, usual: number) => {
    const found = isMapping(gateway) && key in gateway ? listenPort.safeParse(gateway[key]).data : usual
    return found ? [{ at: ["gateway", key], port: found }] : []
  }
  return {
    services: new Set(),
    backends: new Map(
      list("backends").flatMap((backend, index): [string, (string | number)[]][] =>
        isMapping(backend) && typeof backend["name"] === "string" ? [[backend["name"], ["backends", index, "name"]]] : [],
      ),
    ),
    routes: list("routes").flatMap((route, index) => {
      if (!isMapping(route)) return []
      const at = ["routes", index]
      const path = requestPath.safeParse(route["path_prefix"]).data
      const name = route["backend"]
      return [
        {
          at,
          ...(path === undefined ? {} : { match: { match: "prefix" as const, path: prefixPath(path) } }),
          ...(typeof name === "string" ? { target: { kind: "backend" as const, name, at: [...at, "backend"] } } : {}),
        },
      ]
    }),
    ports: [...port("port", 8080), ...port("adminPort", 8009)],
    asksDiscovery: isMapping(gateway) && Array.isArray(gateway["discovery"]) && gateway["discovery"].length > 0,
    firstRouteWins: true,
  }
}

function backendsTwice({ backends }: Readonly<Record<string, unknown>>): Finding[] {
  const seen = new Map<string, number>()
  return (Array.isArray(backends) ? backends : []).flatMap((backend: unknown, index) => {
    const name = isMapping(backend) ? backend["name"] : undefined
    if (typeof name !== "string") return []
    const first = seen.get(name)
    if (first === undefined) seen.set(name, index)
    const message = `the backend ${JSON.stringify(name.slice(0, 80))} is here a second time: backends[${first}] has this name`
    return first === undefined ? [] : [{ path: ["backends", index, "name"], message }]
  })
}

const prefixPath = (path: string): string => path.replace(/\/+$/, "") || "/"
