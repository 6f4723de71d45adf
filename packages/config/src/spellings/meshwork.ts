import { hostSchema } from "@meshwork/contract"
import { z } from "zod"
import type { DocumentPath } from "../issue.ts"
import { localUrl } from "../local-url.ts"
import type { MeshConfigInput } from "../model.ts"
import {
  addressBlock,
  bindHost,
  duration,
  flag,
  isMapping,
  judgedBy,
  listenPort,
  mapping,
  mappingOr,
  requestPath,
  serverUrl,
  serviceName,
  storageSpec,
  text,
  value,
  whole,
} from "../values.ts"
import { matchOf, routeSchema, targetOf } from "./meshwork-route.ts"
import { serviceSchema } from "./meshwork-service.ts"
import type { Outline, Spelling } from "./spelling.ts"

const optional = z.exactOptional
/** Any value. */
export const json = value("any value", (found): z.core.util.JSONType => found as z.core.util.JSONType)

const docker = mappingOr(
  flag.transform((on) => (on ? {} : false)),
  mapping({ host: optional(text()), tls: optional(mapping({ ca: text("a file name"), cert: text("a file name"), key: text("a file name") })) }),
)

// Empty = none: that is how ${MESHWORK_TOKEN:-} arrives where the variable is not set.
const token = value("a text without blanks", (found) => (typeof found === "string" && /^[\x21-\x7e]*$/.test(found) ? found : undefined))
const namedToken = value("a text without blanks, not empty", (found) => (token.safeParse(found).data ? (found as string) : undefined))

/** The section `discovery`. */
const discoverySection = mapping({
  host: optional(bindHost),
  port: optional(listenPort),
  storage: optional(storageSpec),
  token: optional(token),
  tokens: optional(z.record(text("the name of a token"), namedToken)),
  insecure: optional(flag),
  docker: optional(docker),
  advertiseHost: optional(judgedBy("a host name or an IP address", hostSchema)),
}).transform(({ token, tokens = {}, ...rest }) => ({
  ...rest,
  tokens: [...(token ? [{ name: "token", token }] : []), ...Object.entries(tokens).map(([name, token]) => ({ name, token }))],
}))

const statsDatabase = value("a file name, or false for none", (found) =>
  found === false || found === "false" ? (false as const) : typeof found === "string" && found !== "" ? found : undefined,
)
const statsPath = value("a path that begins with '/', or false for none", (found) =>
  found === false || found === "false" ? (false as const) : requestPath.safeParse(found).data,
)

const accessLog = value("true, false or a file name", (found) =>
  found === true || found === "true"
    ? true
    : found === false || found === "false"
      ? false
      : typeof found === "string" && found !== ""
        ? found
        : undefined,
)
const fileName = text("a file name")
const upstreamTls = mapping({
  ca: optional(fileName),
  services: optional(
    z.record(serviceName, mapping({ ca: optional(fileName), serverName: optional(judgedBy("a host name", hostSchema)), insecure: optional(flag) })),
  ),
})

/** The section `gateway`, which other spellings take too. */
export const gatewaySection = mapping({
  host: optional(bindHost),
  port: optional(listenPort),
  adminPort: optional(listenPort),
  adminHost: optional(bindHost),
  discovery: optional(z.array(serverUrl)),
  docker: optional(docker),
  connectTimeout: optional(duration(1, 60_000)),
  idleTimeout: optional(duration(1, 86_400_000)),
  maxInFlight: optional(whole(1, 1_000_000)),
  maxLag: optional(duration(0, 60_000)),
  accessLog: optional(accessLog),
  serverTiming: optional(flag),
  tls: optional(mapping({ cert: fileName, key: fileName })),
  upstreamTls: optional(upstreamTls),
  maxConnections: optional(whole(1, 1_000_000)),
  trustedProxies: optional(z.array(addressBlock)),
  meshPeers: optional(z.array(addressBlock)),
  statsPath: optional(statsPath),
  statsDatabase: optional(statsDatabase),
  rootAnswer: optional(json),
}).transform(({ connectTimeout, idleTimeout, maxLag, ...rest }) => ({
  ...rest,
  ...(maxLag === undefined ? {} : { maxLagMs: maxLag }),
  ...(connectTimeout === undefined ? {} : { connectTimeoutMs: connectTimeout }),
  ...(idleTimeout === undefined ? {} : { idleTimeoutMs: idleTimeout }),
}))

const label = value("key=value", (found) => {
  const match = typeof found === "string" ? /^([^=\s]+)=(.*)$/s.exec(found) : null
  return match === null ? undefined : ([match[1] ?? "", match[2] ?? ""] as const)
})
const labelText = value("a text", (found) => (["string", "number", "boolean"].includes(typeof found) ? String(found) : undefined))
/** Labels of a list by their keys; no container has two values for one. */
const labelList = z
  .array(label)
  .min(1)
  .transform((labels, context): Record<string, string> => {
    const values = new Map<string, string>()
    for (const [index, [key, found]] of labels.entries()) {
      const first = values.get(key)
      const message = `the label ${JSON.stringify(key.slice(0, 80))} is here a second time with another value, and no container has both`
      if (first !== undefined && first !== found) context.issues.push({ code: "custom", message, path: [index], input: labels })
      values.set(key, found)
    }
    return Object.fromEntries(values)
  })
/** Labels of a backend: a list of `key=value`, or a mapping. */
export const matchLabels = mappingOr(labelList, z.record(text("the name of a label"), labelText))

/** An entry of `backends`. */
const backendSchema = mapping({ docker: mapping({ matchLabels }) }).transform((backend) => backend.docker)

/** The section `defaultResponse`. */
const defaultResponseSection = mapping({ statusCode: whole(200, 599, "a status from 200 to 599"), body: json })

const sections = {
  discovery: optional(discoverySection),
  gateway: optional(gatewaySection),
  services: optional(z.record(serviceName, serviceSchema)),
  backends: optional(z.record(serviceName, backendSchema)),
  routes: optional(z.array(routeSchema)),
  defaultResponse: optional(defaultResponseSection),
}

/** A whole meshwork.yaml. A section with nothing in it counts as absent. */
export const documentSchema: z.ZodType<MeshConfigInput> = z
  .preprocess(
    (found) =>
      isMapping(found) ? Object.fromEntries(Object.entries(found).filter(([key, section]) => section !== null || !(key in sections))) : found,
    mapping(sections),
  )
  .transform(({ gateway = {}, discovery = { tokens: [] }, ...rest }): MeshConfigInput => {
    const { host = "127.0.0.1", port = 8008 } = discovery
    return { ...rest, discovery, gateway: gatewayInput(gateway, { discovery: [localUrl(host, port)] }) }
  })

type GatewayInput = NonNullable<MeshConfigInput["gateway"]>

/** The section `gateway` in the model's terms; `usual` holds what this spelling has where the section says nothing. */
export function gatewayInput({ statsPath, ...section }: z.output<typeof gatewaySection>, usual: GatewayInput): GatewayInput {
  const { statsPath: usualPath, ...rest } = usual
  const path = statsPath ?? usualPath ?? false
  return { ...rest, ...section, ...(path === false ? {} : { statsPath: path }) }
}

/** Meshwork's own spelling. */
export const meshworkSpelling: Spelling = {
  name: "meshwork",
  recognises: (document) => Object.keys(document).some((key) => Object.hasOwn(sections, key)),
  schema: documentSchema,
  outline,
}

function outline(document: Readonly<Record<string, unknown>>): Outline {
  const port = (section: string, key: string, usual: number) => {
    const mapped = document[section]
    const found = isMapping(mapped) && key in mapped ? listenPort.safeParse(mapped[key]).data : usual
    return found ? [{ at: [section, key], port: found }] : []
  }
  const names = (section: unknown) => (isMapping(section) ? Object.keys(section) : [])
  const gateway = document["gateway"]
  const asked = isMapping(gateway) ? gateway["discovery"] : undefined
  const routes = Array.isArray(document["routes"]) ? document["routes"] : []
  return {
    services: new Set(names(document["services"])),
    backends: new Map(names(document["backends"]).map((name): [string, DocumentPath] => [name, ["backends", name]])),
    routes: routes.flatMap((route: unknown, index) => {
      if (!isMapping(route)) return []
      const at = ["routes", index]
      const match = matchOf(route)
      const target = targetOf(route)
      return [{ at, ...(match ? { match } : {}), ...(target ? { target: { ...target, at: [...at, target.kind] } } : {}) }]
    }),
    ports: [...port("discovery", "port", 8008), ...port("gateway", "port", 8080), ...port("gateway", "adminPort", 8009)],
    // A container may name any service.
    asksDiscovery:
      !(Array.isArray(asked) && asked.length === 0) || (isMapping(gateway) && ![undefined, false, "false"].includes(gateway["docker"] as never)),
  }
}
