import type { IncomingMessage } from "node:http"
import { priorityOf, type RequestPriority } from "./load-shedder.ts"
import type { Route } from "./route-settings.ts"

/** What an access log tells of one request: neither its query nor its headers, which may hold secrets. */
export interface AccessEntry {
  method: string
  host: string
  path: string
  /** 499 = the caller went away before the answer was complete. */
  status: number
  /** From the request head to the end of the answer. */
  ms: number
  /** Name of the route; null where none was found. */
  route: string | null
  service: string | null
  /** `host:port` that answered, or that was tried last; null when none was. */
  instance: string | null
  attempts: number
  /** Address of the caller's end of the connection. */
  client: string
  /** As the caller says it, believed or not; `normal` is left out. */
  priority?: RequestPriority
  /** Trace id of its `traceparent`. */
  trace?: string
}

/** What became of a request, as far as its entry says so. */
export interface AccessOutcome {
  status: number
  ms: number
  client: string
  route?: Route
  instance?: string | undefined
  attempts?: number
}

const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/
const maxPath = 2048

/** The entry of a request that has ended. */
export function accessEntry(request: IncomingMessage, outcome: AccessOutcome): AccessEntry {
  const { method = "", url = "", rawHeaders } = request
  const { status, ms, client, route, instance, attempts = 0 } = outcome
  const query = url.indexOf("?")
  const entry: AccessEntry = {
    method,
    host: rawHeader(rawHeaders, "host") ?? "",
    path: url.slice(0, query === -1 || query > maxPath ? maxPath : query),
    status,
    ms: Math.round(ms * 1000) / 1000,
    route: route?.name ?? null,
    service: route?.service ?? null,
    instance: instance ?? null,
    attempts,
    client,
  }
  const priority = priorityOf(rawHeaders)
  if (priority !== "normal") entry.priority = priority
  const trace = traceparent.exec(rawHeader(rawHeaders, "traceparent") ?? "")?.[1]
  if (trace !== undefined) entry.trace = trace
  return entry
}

/** The first value of a header. From the raw list: the object that node:http makes on request costs more than the whole entry. */
function rawHeader(rawHeaders: readonly string[], lower: string): string | undefined {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    if (name.length === lower.length && name.toLowerCase() === lower) return rawHeaders[index + 1]
  }
  return undefined
}
