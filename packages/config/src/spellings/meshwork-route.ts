import { normalizeHost } from "@meshwork/contract"
import { z } from "zod"
import { balancerNames, type RouteConfig, type RouteTarget, type routeSchema as modelSchema } from "../model.ts"
import { duration, type Finding, flag, judgedBy, mapping, oneOf, requestPath, serviceName, value, whole } from "../values.ts"

const optional = z.exactOptional
const matches = ["exact", "exact-or-slash"] as const

const method = value("a method such as GET", (found) =>
  typeof found === "string" && /^[A-Za-z][A-Za-z-]{0,31}$/.test(found) ? found.toUpperCase() : undefined,
)
const virtualHost = value("a host name without port", (found) => (typeof found === "string" ? normalizeHost(found) : undefined))
const methods = z.array(method).min(1)

/** An entry of `routes`. */
export const routeSchema = mapping(
  {
    path: optional(requestPath),
    pathPrefix: optional(requestPath),
    match: optional(oneOf(matches)),
    service: optional(serviceName),
    backend: optional(serviceName),
    host: optional(virtualHost),
    methods: optional(methods),
    stripPrefix: optional(flag),
    timeout: optional(duration(1, 86_400_000)),
    idleTimeout: optional(duration(1, 86_400_000)),
    attempts: optional(whole(1, 10)),
    balancer: optional(oneOf(balancerNames)),
    whenAllFail: optional(oneOf(["spread", "fail"])),
    unreachableStatus: optional(
      value("502, 503", (found) => (String(found) === "502" ? (502 as const) : String(found) === "503" ? (503 as const) : undefined)),
    ),
    retryBodyLimit: optional(whole(0, 16 * 1024 * 1024, "a number of bytes from 0 to 16777216")),
    allowGetBody: optional(flag),
  },
  findings,
).transform(({ path, pathPrefix, match = "exact", service, backend, timeout, idleTimeout, ...rest }): z.input<typeof modelSchema> => {
  const where = pathPrefix === undefined ? { match, path: path ?? "/" } : { match: "prefix" as const, path: prefixPath(pathPrefix) }
  const target: RouteTarget = service === undefined ? { kind: "backend", name: backend ?? "" } : { kind: "service", name: service }
  return {
    ...rest,
    ...where,
    target,
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(idleTimeout === undefined ? {} : { idleTimeoutMs: idleTimeout }),
  }
})

function findings(route: Readonly<Record<string, unknown>>): Finding[] {
  const found: Finding[] = []
  const has = (key: string) => Object.hasOwn(route, key)
  for (const [one, other] of [
    ["path", "pathPrefix"],
    ["service", "backend"],
  ] as const) {
    if (has(one) && has(other)) found.push({ path: [other], message: `${one} is there too; accepted is one of the two` })
    else if (!has(one) && !has(other)) found.push({ path: [], message: `this route needs either ${one} or ${other}` })
  }
  if (has("match") && has("pathPrefix")) found.push({ path: ["match"], message: "goes with path; a pathPrefix always matches as prefix" })
  if (route["stripPrefix"] === true && has("path")) found.push({ path: ["stripPrefix"], message: "goes with pathPrefix; path has nothing to strip" })
  return found
}

const prefixPath = (path: string) => (path === "/" ? path : path.replace(/\/+$/, ""))

/** What a route as written matches, as far as its parts are right. */
export function matchOf(route: Readonly<Record<string, unknown>>): Pick<RouteConfig, "match" | "path" | "host" | "methods"> | undefined {
  const path = requestPath.safeParse(route["path"] ?? route["pathPrefix"]).data
  if (path === undefined || (Object.hasOwn(route, "path") && Object.hasOwn(route, "pathPrefix"))) return undefined
  const host = virtualHost.safeParse(route["host"]).data
  const wanted = methods.safeParse(route["methods"]).data
  if ((host === undefined && Object.hasOwn(route, "host")) || (wanted === undefined && Object.hasOwn(route, "methods"))) return undefined
  const where = Object.hasOwn(route, "pathPrefix")
    ? { match: "prefix" as const, path: prefixPath(path) }
    : { match: judgedBy("", z.enum(matches)).safeParse(route["match"]).data ?? ("exact" as const), path }
  return { ...where, ...(host === undefined ? {} : { host }), ...(wanted === undefined ? {} : { methods: wanted }) }
}

/** Where a route as written leads. */
export function targetOf(route: Readonly<Record<string, unknown>>): RouteTarget | undefined {
  const { service, backend } = route
  if (typeof service === "string" && backend === undefined) return { kind: "service", name: service }
  return typeof backend === "string" && service === undefined ? { kind: "backend", name: backend } : undefined
}
