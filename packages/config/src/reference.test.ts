import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import type { z } from "zod"
import { parseConfig } from "./index.ts"
import { documentSchema } from "./spellings/meshwork.ts"
import { rgateSpelling } from "./spellings/rgate.ts"
import { parseDuration } from "./values.ts"

interface Row {
  key: string
  accepted: string
  fallback: string
}

const reference = (name: string): string => readFileSync(join(import.meta.dirname, "../../../docs/reference", name), "utf8")
const rowsOf = (text: string): Row[] =>
  [...text.matchAll(/^\| `([a-zA-Z_.[\]]+)` \| (.*?) \|(.*?)\|.*\|$/gm)].map(([, key = "", accepted = "", fallback = ""]) => {
    return { key, accepted, fallback: fallback.trim().replace(/^`(.*)`$/, "$1") }
  })
const page = reference("configuration.md")
const rows = rowsOf(page)

interface Def {
  innerType?: z.ZodType
  element?: z.ZodType
  valueType?: z.ZodType
  in?: z.ZodType
  out?: z.ZodType
}

/** Every key of a schema with what it says it accepts. */
function keysOf(schema: z.ZodType, prefix: string): Map<string, string> {
  const { shape, accepted } = (schema.meta() ?? {}) as { shape?: Record<string, z.ZodType>; accepted?: string }
  const found = new Map<string, string>()
  const merge = (more: Map<string, string>) => {
    for (const [key, text] of more) found.set(key, found.get(key) || text)
  }
  if (shape !== undefined || accepted !== undefined) {
    if (accepted !== undefined) found.set(prefix, accepted)
    for (const [key, value] of Object.entries(shape ?? {})) merge(keysOf(value, prefix === "" ? key : `${prefix}.${key}`))
    return found
  }
  const def = schema.def as Def
  if (def.innerType) merge(keysOf(def.innerType, prefix))
  if (def.element) merge(keysOf(def.element, `${prefix}[]`))
  if (def.valueType) merge(keysOf(def.valueType, `${prefix}.NAME`))
  if (def.in) merge(keysOf(def.in, prefix))
  if (def.out) merge(keysOf(def.out, prefix))
  return found
}

const known = keysOf(documentSchema, "")
const checkOfInstance = "services.NAME.instances[].check"

it("the reference names every key, and no other", () => {
  const wanted = [...known.keys()].filter((key) => !key.startsWith(`${checkOfInstance}.`))
  // Keys with several shapes, which no single text describes.
  const composed = [checkOfInstance, "services.NAME.instances[]", "backends.NAME.docker.matchLabels", "discovery.docker", "gateway.docker"]
  expect(rows.map((row) => row.key).toSorted()).toEqual([...new Set([...wanted, ...composed])].toSorted())
})

it.each(rows.filter((row) => known.has(row.key)))("the reference says what $key accepts", ({ key, accepted }) => {
  expect(accepted).not.toBe("")
  expect(known.get(key)?.startsWith(accepted)).toBe(true)
})

it.each(rows.filter(({ fallback }) => /^[\w.:/-]+$/.test(fallback)))("the default of $key is $fallback", ({ key, fallback }) => {
  const text =
    "routes: [{ path: /, service: s }]\nservices: { s: { instances: [h], check: { method: http } } }\ngateway: { upstreamTls: { services: { s: {} } } }"
  const config = parseConfig({ text, file: "m" }, { env: {} })
  const instance = config.services["s"]?.instances[0]
  const roots: Record<string, unknown> = {
    "discovery.": config.discovery,
    "gateway.upstreamTls.services.NAME.": { ...config.gateway.upstreamTls.services["s"] },
    "gateway.": config.gateway,
    "routes[].": config.routes[0],
    "services.NAME.instances[].": { weight: 1, canary: false, id: "host:port", ...instance, ...(instance?.id === "h:80" ? { id: "host:port" } : {}) },
    "services.NAME.check.": { path: "/", ...instance?.check },
    "defaultResponse.": { statusCode: 404 },
  }
  const root = Object.keys(roots).find((start) => key.startsWith(start)) ?? ""
  const values = roots[root] as Record<string, string | number | boolean | undefined>
  const name = key.slice(root.length)
  const seconds = values[`${name}Seconds`]
  const value = values[name] ?? values[`${name}Ms`] ?? (typeof seconds === "number" ? seconds * 1000 : undefined)
  expect([String(value), `${Number(value) / 1000}s`]).toContain(
    /^\d+(ms|s)$/.test(fallback) ? `${Number(parseDuration(fallback)) / 1000}s` : fallback,
  )
})

it("the example of the reference is accepted", () => {
  const example = /```yaml\n(.*?)```/s.exec(page)?.[1] ?? ""
  const { routes, warnings } = parseConfig({ text: example, file: "example" }, { env: {} })
  expect(routes).toHaveLength(2)
  expect(warnings.map((issue) => issue.kind)).toEqual(["unknown-service"])
})

const rgatePage = reference("rgate.md")
const rgateRows = rowsOf(rgatePage)
const rgateKeys = keysOf(rgateSpelling.schema, "")

it("the reference of rgate's file names every key but those of Meshwork's own section, and no other", () => {
  const wanted = [...rgateKeys.keys()].filter((key) => !key.startsWith("gateway."))
  const composed = ["backends[].match_labels", "gateway"]
  expect(rgateRows.map((row) => row.key).toSorted()).toEqual([...new Set([...wanted, ...composed])].toSorted())
})

it.each(rgateRows.filter(({ key }) => rgateKeys.has(key)))("the reference of rgate's file says what $key accepts", ({ key, accepted }) => {
  expect(accepted).not.toBe("")
  expect(rgateKeys.get(key)?.startsWith(accepted)).toBe(true)
})

it("the example of rgate's reference is accepted, and every default is the one the page names", () => {
  const example = /```yaml\n(.*?)```/s.exec(rgatePage)?.[1] ?? ""
  const full = parseConfig({ text: example, file: "config.yml" }, { env: {} })
  expect([full.format, full.warnings]).toEqual(["rgate", []])
  const text = "routes: [{ path_prefix: /a, backend: a }]\nbackends: [{ name: a, match_labels: [a=b] }]\ndefault_response: {}"
  const { routes, defaultResponse } = parseConfig({ text, file: "config.yml" }, { env: {} })
  const [route] = routes
  const used: Record<string, unknown> = {
    "routes[].timeout": `${(route?.timeoutMs ?? 0) / 1000}s`,
    "routes[].attempts": route?.attempts,
    "routes[].balancer": route?.balancer,
    "default_response.status_code": defaultResponse?.statusCode,
    "default_response.body": JSON.stringify(defaultResponse?.body),
  }
  const named = rgateRows.filter(({ fallback }) => fallback !== "" && fallback !== "–")
  expect(Object.fromEntries(named.map(({ key, fallback }) => [key, fallback]))).toEqual(
    Object.fromEntries(Object.entries(used).map(([key, value]) => [key, String(value)])),
  )
})
