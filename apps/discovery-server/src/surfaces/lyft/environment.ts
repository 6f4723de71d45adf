import { join } from "node:path"
import { MeshError } from "@meshwork/contract"
import { createAutoIp, defaultAutoIpNetworks } from "./auto-ip.ts"
import type { LyftSettings } from "./settings.ts"

/** What lyft/discovery's environment variables ask of a discovery server. */
export interface LyftEnvironment {
  lyft: LyftSettings
  /** A `--storage` text; absent where the variables name none. */
  storage?: string
  /** A level of the log; absent where the variables name none. */
  logLevel?: string
}

interface Variable {
  /** What holds where it is not set, as the reference shows it. */
  fallback: string
  what: string
  /** The value of a text. Throws an `Error` that says what would be accepted. */
  read: (text: string) => string | number | boolean
}

const backends = { DynamoDB: "dynamodb", InMemory: "memory", InFile: "file" } as const
const levels: Readonly<Record<string, string>> = { critical: "fatal", warning: "warn", notset: "trace" }
const levelNames = ["trace", "debug", "info", "warn", "warning", "error", "critical", "fatal", "silent"]
const maxCacheSeconds = 31_536_000

/** Every variable of lyft/discovery that `meshwork discovery` reads beside those of its options. */
export const lyftVariables: Readonly<Record<string, Variable>> = {
  HOST_TTL: {
    fallback: "600",
    what: "seconds after its last POST at which a host expires",
    read: (text) => number(text, /^\d{1,9}(\.\d{1,9})?$/, 3, 86_400, "a number of seconds from 3 to 86400"),
  },
  CACHE_TYPE: {
    fallback: "null",
    what: "`simple` sets `Cache-Control` on both queries, `null` does not",
    read: (text) => oneOf(text, ["null", "simple"]),
  },
  CACHE_TTL: {
    fallback: "30",
    what: "seconds of that `max-age`; answers themselves are never stale",
    read: (text) => number(text, /^\d{1,9}$/, 0, maxCacheSeconds, `a whole number of seconds from 0 to ${maxCacheSeconds}`),
  },
  APPLICATION_ENV: { fallback: "development", what: "echoed as `env`", read: (text) => text },
  MESHWORK_AUTO_IP_CIDR: {
    fallback: defaultAutoIpNetworks,
    what: "networks from which `auto_ip` is accepted, separated by commas",
    read: (text) => (createAutoIp(text), text),
  },
  BACKEND_STORAGE: {
    fallback: "unset",
    what: "`DynamoDB`, `InMemory` or `InFile`, where `--storage` is absent",
    read: (text) => oneOf(text, Object.keys(backends)),
  },
  APPLICATION_DIR: { fallback: "working directory", what: "directory in which InFile keeps `.meshwork/registry.log`", read: (text) => text },
  DYNAMODB_TABLE_HOSTS: { fallback: "unset", what: "table of DynamoDB; it needs one", read: (text) => text },
  DYNAMODB_URL: { fallback: "unset", what: "endpoint of a local DynamoDB", read: httpUrl },
  DYNAMODB_CREATE_TABLES_IN_APP: { fallback: "false", what: "create the table and its index at the start", read: yesOrNo },
  DEBUG: { fallback: "false", what: "the level `debug`, where LOG_LEVEL is absent", read: yesOrNo },
  LOG_LEVEL: { fallback: "info", what: `level of the log: ${levelNames.join(", ")}`, read: (text) => oneOf(text.toLowerCase(), levelNames) },
}

/**
 * Reads lyft/discovery's environment variables; an empty one counts as not set.
 * Throws `invalid_config` that names every variable whose value does not parse.
 * @param storage the `--storage` text, which wins over BACKEND_STORAGE
 */
export function readLyftEnvironment(env: Readonly<Record<string, string | undefined>>, storage?: string): LyftEnvironment {
  const values = new Map<string, string | number | boolean>()
  const faults: string[] = []
  for (const [name, { read }] of Object.entries(lyftVariables)) {
    const text = env[name] ?? ""
    if (text === "") continue
    try {
      values.set(name, read(text))
    } catch (error) {
      faults.push(`${name}: ${MeshError.from(error).message}`)
    }
  }
  const backend = storage === undefined ? values.get("BACKEND_STORAGE") : undefined
  if (backend === "DynamoDB" && !values.has("DYNAMODB_TABLE_HOSTS"))
    faults.push("DYNAMODB_TABLE_HOSTS: BACKEND_STORAGE=DynamoDB needs the name of a table")
  if (faults.length > 0) throw new MeshError("invalid_config", faults.join("; "))

  const logLevel = values.get("LOG_LEVEL") ?? (values.get("DEBUG") === true ? "debug" : undefined)
  const spec = storage ?? (backend === undefined ? undefined : storageSpec(backend as keyof typeof backends, values))
  return {
    lyft: {
      hostTtlSeconds: Number(values.get("HOST_TTL") ?? 600),
      environment: String(values.get("APPLICATION_ENV") ?? "development"),
      autoIpNetworks: String(values.get("MESHWORK_AUTO_IP_CIDR") ?? defaultAutoIpNetworks),
      ...(values.get("CACHE_TYPE") === "simple" ? { cacheSeconds: Number(values.get("CACHE_TTL") ?? 30) } : {}),
    },
    ...(spec === undefined ? {} : { storage: spec }),
    ...(logLevel === undefined ? {} : { logLevel: levels[String(logLevel)] ?? String(logLevel) }),
  }
}

function storageSpec(backend: keyof typeof backends, values: ReadonlyMap<string, string | number | boolean>): string {
  if (backend === "InMemory") return "memory"
  if (backend === "InFile") return `file:${join(String(values.get("APPLICATION_DIR") ?? ""), ".meshwork/registry.log")}`
  const endpoint = values.get("DYNAMODB_URL")
  const query = new URLSearchParams({
    ...(endpoint === undefined ? {} : { endpoint: String(endpoint) }),
    ...(values.has("HOST_TTL") ? { ttl: String(Math.ceil(Number(values.get("HOST_TTL")))) } : {}),
    ...(values.get("DYNAMODB_CREATE_TABLES_IN_APP") === true ? { create: "true" } : {}),
  })
  return `dynamodb://${encodeURIComponent(String(values.get("DYNAMODB_TABLE_HOSTS")))}${query.size > 0 ? `?${query.toString()}` : ""}`
}

function number(text: string, pattern: RegExp, least: number, most: number, accepted: string): number {
  const value = Number(text)
  return pattern.test(text) && value >= least && value <= most ? value : refuse(text, accepted)
}

function oneOf(text: string, accepted: readonly string[]): string {
  return accepted.includes(text) ? text : refuse(text, accepted.join(", "))
}

function yesOrNo(text: string): boolean {
  if (/^(true|1|yes)$/i.test(text)) return true
  return /^(false|0|no)$/i.test(text) ? false : refuse(text, "true, 1, yes, false, 0, no")
}

function httpUrl(text: string): string {
  return /^https?:\/\//i.test(text) && URL.canParse(text) ? text : refuse(text, "a URL such as http://127.0.0.1:8000")
}

function refuse(text: string, accepted: string): never {
  throw new Error(`"${text.slice(0, 80)}" is not accepted; it takes ${accepted}`)
}
