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
  const { method = "", url = "", headers, rawHeaders } = request
  const { status, ms, client, route, instance, attempts = 0 } = outcome
  const priority = priorityOf(rawHeaders)
  const trace = traceparent.exec(String(headers["traceparent"] ?? ""))?.[1]
  return {
    method,
    host: headers.host ?? "",
    path: (url.split("?", 1)[0] ?? "").slice(0, maxPath),
    status,
    ms: Math.round(ms * 1000) / 1000,
    route: route?.name ?? null,
    service: route?.service ?? null,
    instance: instance ?? null,
    attempts,
    client,
    ...(priority === "normal" ? {} : { priority }),
    ...(trace === undefined ? {} : { trace }),
  }
}
