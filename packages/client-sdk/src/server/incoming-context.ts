import { type Clock, MeshError, systemClock, toProblem } from "@meshwork/contract"
import type { CallContext } from "../context.ts"
import { Deadline } from "../deadline.ts"
import { parsePriority } from "../priority.ts"
import { type LoadMeter, processLoad } from "./load-meter.ts"

export interface MeshContextOptions {
  /** Time a request has that names none, ms. Default 20,000. */
  timeoutMs?: number
  /** This much left, or less, ms: 408 without running the handler. Default 5. */
  lowTimeoutMs?: number
  /** Abort the context's signal and answer 408 when the deadline passes. Default false. */
  cancelOnTimeout?: boolean
  /** Read `X-Request-Timeout` and `X-Request-Priority`. Default true. */
  readSystemHeaders?: boolean
  /** Hears of every request that was answered, for metrics. */
  observer?: ServerObserver
  clock?: Clock
}

/** One request that was answered, or whose caller went away. */
export interface ObservedRequest {
  /** `X-Service-Name` in lower case, or `unknown`. */
  client: string
  method: string
  /** The route, not the path. */
  path: string
  status: string
  durationMs: number
}

export interface ServerObserver {
  request(request: ObservedRequest): void
}

type IncomingHeaders = Readonly<Record<string, string | string[] | undefined>>

/** What the servers of all kinds have in common: reading the context of a request, refusing late ones, telling the load. */
export class IncomingContext {
  readonly cancelOnTimeout: boolean
  readonly load: LoadMeter = processLoad
  readonly #timeoutMs: number
  readonly #lowTimeoutMs: number
  readonly #readHeaders: boolean
  readonly #clock: Clock
  readonly #observer: ServerObserver | undefined

  constructor(options: MeshContextOptions) {
    this.#timeoutMs = options.timeoutMs ?? 20_000
    this.#lowTimeoutMs = options.lowTimeoutMs ?? 5
    this.cancelOnTimeout = options.cancelOnTimeout ?? false
    this.#readHeaders = options.readSystemHeaders ?? true
    this.#clock = options.clock ?? systemClock
    this.#observer = options.observer
  }

  /** Tells the observer, if there is one, when the request is over; `route` is asked then. */
  observe(headers: IncomingHeaders, method: string, response: ObservedResponse, route: () => string): void {
    const observer = this.#observer
    if (observer === undefined) return
    const begin = this.#clock.monotonic()
    const client = first(headers["x-service-name"])?.toLowerCase() ?? "unknown"
    response.once("close", () => {
      const status = response.writableFinished ? String(response.statusCode) : "aborted"
      observer.request({ client, method, path: route(), status, durationMs: this.#clock.monotonic() - begin })
    })
  }

  /** The context a request brings; undefined when too little time is left to begin. */
  read(headers: IncomingHeaders, timeoutMs?: number): (CallContext & { deadline: Deadline }) | undefined {
    const told = this.#readHeaders ? readTimeoutMs(headers["x-request-timeout"]) : undefined
    if (told !== undefined && told <= this.#lowTimeoutMs) return undefined
    const deadline = Deadline.after(told ?? timeoutMs ?? this.#timeoutMs, this.#clock)
    const priority = this.#readHeaders ? parsePriority(first(headers["x-request-priority"])) : undefined
    return { deadline, ...(priority === undefined ? {} : { priority }) }
  }
}

interface ObservedResponse {
  statusCode: number
  readonly writableFinished: boolean
  once(event: "close", listener: () => void): unknown
}

/** The answer to a request whose time is over. */
export function tooLate(): ReturnType<typeof toProblem> {
  return toProblem(new MeshError("deadline_exceeded", "the time the caller gave is over"))
}

/** Reads seconds as they stand in `X-Request-Timeout`; undefined when negative or unreadable. */
function readTimeoutMs(value: string | string[] | undefined): number | undefined {
  const text = first(value)
  if (text === undefined || !/^\d{1,9}(?:\.\d{1,9})?$/.test(text.trim())) return undefined
  return Number(text) * 1000
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
