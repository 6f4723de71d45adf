import { isIP } from "node:net"
import { hostSchema, instanceIdSchema, normalizeHost, serviceNameSchema } from "@meshwork/contract"
import { z } from "zod"

/** Key of `params` under which an issue says what would have been right. */
export const acceptedParam = "accepted"

/** A single value: `convert` yields what the model wants, or undefined when the text is not accepted. */
export function value<T>(accepted: string, convert: (found: unknown) => T | undefined): z.ZodType<T> {
  return z
    .unknown()
    .transform((found, context): T => {
      const result = found === undefined ? undefined : convert(found)
      if (result !== undefined) return result
      context.addIssue({ code: "custom", message: accepted, params: { [acceptedParam]: accepted }, input: found })
      return z.NEVER
    })
    .meta({ accepted })
}

/** A value that a schema of the contract judges. */
export function judgedBy<T>(accepted: string, schema: z.ZodType<T>): z.ZodType<T> {
  return value(accepted, (found) => schema.safeParse(found).data)
}

/** A text of which nothing more is known. */
export function text(accepted = "a text"): z.ZodType<string> {
  return value(accepted, (found) => (typeof found === "string" && found !== "" ? found : undefined))
}

/** One of a few words. */
export function oneOf<const T extends string>(words: readonly T[]): z.ZodType<T> {
  return value(words.join(", "), (found) => words.find((word) => word === found))
}

// Text that spells a number counts as one: that is how ${PORT:-8080} arrives.
const numeric = (found: unknown) => (typeof found === "string" && /^-?\d+(\.\d+)?$/.test(found) ? Number(found) : found)

/** A whole number within bounds, both included. */
export function whole(min: number, max: number, accepted = `a whole number from ${min} to ${max}`): z.ZodType<number> {
  return value(accepted, (found) => {
    const number = numeric(found)
    return typeof number === "number" && Number.isInteger(number) && number >= min && number <= max ? number : undefined
  })
}

/** Where a registry is kept, as `--storage` spells it. */
export const storageSpec: z.ZodType<string> = value("memory, file:PATH, sqlite:PATH, etcd://HOST:PORT/TREE or dynamodb://TABLE", (found) =>
  typeof found === "string" && /^(?:memory|(?:file|sqlite):.+|(?:etcd|dynamodb):\/\/.+)$/.test(found) ? found : undefined,
)

/** An IP address, or a block of them as CIDR. */
export const addressBlock: z.ZodType<string> = value("an IP address or a CIDR block such as 10.0.0.0/8", (found) => {
  if (typeof found !== "string") return undefined
  const [address = "", bits, ...rest] = found.split("/")
  const longest = { 0: -1, 4: 32, 6: 128 }[isIP(address) as 0 | 4 | 6]
  if (longest < 0 || rest.length > 0) return undefined
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= longest) ? found : undefined
})

/** True or false. */
export const flag: z.ZodType<boolean> = value("true or false", (found) => {
  if (found === true || found === "true") return true
  return found === false || found === "false" ? false : undefined
})

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** A duration in ms, written `10s`, `250ms`, `2m`, `1h`, or as a number of seconds. Bounds in ms. */
export function duration(minMs: number, maxMs: number): z.ZodType<number> {
  const accepted = `a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}, such as 10s, 250ms or a number of seconds`
  return value(accepted, (found) => {
    const ms = parseDuration(found)
    return ms !== undefined && ms >= minMs && ms <= maxMs ? ms : undefined
  })
}

/** Milliseconds of `10s`, `250ms`, `2m`, `1h` or a number of seconds; undefined when it is none of them. */
export function parseDuration(found: unknown): number | undefined {
  const number = numeric(found)
  if (typeof number === "number") return Number.isFinite(number) ? Math.round(number * 1e6) / 1e3 : undefined
  const match = typeof found === "string" ? /^(\d+(?:\.\d+)?) ?(ms|s|m|h)$/.exec(found) : null
  return match === null ? undefined : Math.round(Number(match[1]) * (units[match[2] ?? ""] ?? 0) * 1e3) / 1e3
}

function formatDuration(ms: number): string {
  if (ms < 1000) return ms === 0 ? "0" : `${ms}ms`
  return ms % 3_600_000 === 0 ? `${ms / 3_600_000}h` : `${ms / 1000}s`
}

/** Port to listen on; 0 takes a free one. */
export const listenPort: z.ZodType<number> = whole(0, 65_535, "a port from 1 to 65535, or 0 for a free one")

/** Address to bind: a host name or IP address. */
export const bindHost: z.ZodType<string> = judgedBy("a host name or an IP address of this machine", hostSchema)

/** Name of a service or backend. */
export const serviceName: z.ZodType<string> = judgedBy("a name of at most 128 printable characters without '/'", serviceNameSchema)

/** Id of an instance. */
export const instanceId: z.ZodType<string> = judgedBy("an id of at most 256 printable characters without blanks and '/'", instanceIdSchema)

/** A path of a request, byte for byte: no query, no fragment, no blanks, no dot segments. */
export const requestPath: z.ZodType<string> = value("a path that begins with '/', without query, blanks, '.' and '..' segments", (found) =>
  typeof found === "string" && found.length <= 2048 && /^\/[\x21-\x22\x24-\x3e\x40-\x5b\x5d-\x7e]*$/.test(found) && !hasDotSegment(found)
    ? found
    : undefined,
)

function hasDotSegment(path: string): boolean {
  return path.split(/\/|%2f|%5c/i).some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment))
}

/** Base URL of a server, without credentials, query and trailing slash. */
export const serverUrl: z.ZodType<string> = value("a URL such as http://127.0.0.1:8008, without credentials", (found) => {
  if (typeof found !== "string" || !/^https?:\/\/[^\s]+$/i.test(found) || !URL.canParse(found)) return undefined
  const url = new URL(found)
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") return undefined
  return url.href.replace(/\/+$/, "")
})

/** Where an instance listens. */
export interface Address {
  scheme: "http" | "https" | "tcp"
  host: string
  port: number
}

const schemePorts: Readonly<Record<string, number | undefined>> = { http: 80, https: 443 }

/** `host:port`, `host`, `[ipv6]:port` or a URL; no scheme means http, no port the scheme's. Undefined when it is none of them. */
export function parseAddress(found: unknown): Address | undefined {
  if (typeof found !== "string") return undefined
  const match = /^(?:(https?|tcp):\/\/)?(\[[^\]]+\]|[^:/[\]@]+)(?::(\d{1,5}))?\/?$/i.exec(found)
  if (match === null) return undefined
  const scheme = (match[1]?.toLowerCase() ?? "http") as Address["scheme"]
  const host = normalizeHost(match[2] ?? "")
  const port = match[3] === undefined ? schemePorts[scheme] : Number(match[3])
  return host === undefined || port === undefined || port < 1 || port > 65_535 ? undefined : { scheme, host, port }
}

/** Where an instance listens, as text. */
export const address: z.ZodType<Address> = value("host:port or a URL such as http://10.0.0.7:9000", parseAddress)

/** Something about a mapping that no single value of it shows. */
export interface Finding {
  /** Keys below the mapping. */
  path: readonly (string | number)[]
  /** A sentence. */
  message: string
}

type Shape = Record<string, z.ZodType>
type Mapping<S extends Shape> = z.output<z.ZodObject<S, z.core.$strict>>

/** A mapping with known keys; `check` sees it as written, whatever else is wrong with it. */
export function mapping<S extends Shape>(shape: S, check?: (found: Readonly<Record<string, unknown>>) => Finding[]): z.ZodType<Mapping<S>> {
  const keys = Object.keys(shape)
  const strict = z.strictObject(shape, { error: (issue) => (issue.code === "unrecognized_keys" ? keys.join(", ") : "a mapping") })
  return z
    .unknown()
    .transform((found, context): Mapping<S> => {
      const parsed = strict.safeParse(found)
      const findings = isMapping(found) && check ? check(found) : []
      if (parsed.success && findings.length === 0) return parsed.data
      for (const issue of parsed.error?.issues ?? []) context.issues.push({ ...issue, input: found } as z.core.$ZodRawIssue)
      for (const { path, message } of findings) context.issues.push({ code: "custom", message, path: [...path], input: found })
      return z.NEVER
    })
    .meta({ shape })
}

/** A mapping, or something shorter in its place. */
export function mappingOr<A, B>(short: z.ZodType<A>, long: z.ZodType<B>): z.ZodType<A | B> {
  return z
    .unknown()
    .transform((found, context): A | B => {
      const parsed = (isMapping(found) ? long : short).safeParse(found)
      if (parsed.success) return parsed.data
      for (const issue of parsed.error.issues) context.issues.push({ ...issue, input: found } as z.core.$ZodRawIssue)
      return z.NEVER
    })
    .meta({ ...short.meta(), ...long.meta() })
}

/** Whether a value is a mapping of the document. */
export function isMapping(found: unknown): found is Record<string, unknown> {
  return typeof found === "object" && found !== null && !Array.isArray(found)
}
