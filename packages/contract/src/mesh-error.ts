/** When a failed request may be sent again by itself. */
export type Retry = "never" | "always" | "if-replayable"

interface CodeEntry {
  status: number
  retry: Retry
  title: string
  /** Headers that go with the answer on the wire. */
  headers?: Readonly<Record<string, string>>
}

const doNotRetry = { "x-do-not-retry": "1" }

/** Every error code of Meshwork with its HTTP status. The set is closed. */
export const errorCodes = {
  invalid_request: { status: 400, retry: "never", title: "Invalid request" },
  unauthorized: { status: 401, retry: "never", title: "Unauthorized", headers: { "www-authenticate": 'Bearer realm="meshwork"' } },
  not_found: { status: 404, retry: "never", title: "Not found" },
  no_route: { status: 404, retry: "never", title: "No route" },
  method_not_allowed: { status: 405, retry: "never", title: "Method not allowed" },
  conflict: { status: 409, retry: "never", title: "Conflict" },
  payload_too_large: { status: 413, retry: "never", title: "Payload too large" },
  internal: { status: 500, retry: "never", title: "Internal error" },
  invalid_config: { status: 500, retry: "never", title: "Invalid configuration" },
  limit_exceeded: { status: 429, retry: "always", title: "Limit exceeded" },
  overloaded: { status: 503, retry: "always", title: "Overloaded" },
  no_instances: { status: 503, retry: "always", title: "No instances" },
  storage_unavailable: { status: 503, retry: "always", title: "Storage unavailable" },
  connection_failed: { status: 502, retry: "if-replayable", title: "Connection failed" },
  upstream_reset: { status: 502, retry: "if-replayable", title: "Upstream reset" },
  attempt_timeout: { status: 504, retry: "if-replayable", title: "Attempt timed out" },
  deadline_exceeded: { status: 408, retry: "never", title: "Deadline exceeded", headers: doNotRetry },
  circuit_open: { status: 502, retry: "never", title: "Circuit open", headers: { ...doNotRetry, "x-circuit-breaker": "1" } },
  too_many_redirects: { status: 488, retry: "never", title: "Too many redirects" },
  aborted: { status: 499, retry: "never", title: "Aborted by the caller" },
} as const satisfies Record<string, CodeEntry>

export type ErrorCode = keyof typeof errorCodes

/** Whether `text` is one of the closed set of codes. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === "string" && Object.hasOwn(errorCodes, text)
}

export interface MeshErrorOptions {
  cause?: unknown
  /** When the caller may try again; sent as Retry-After, at least 1 s. Default 1000 for codes that are always retried. */
  retryAfterMs?: number
  /** Further members of the problem body. */
  members?: Readonly<Record<string, unknown>>
}

const brand = Symbol.for("meshwork.MeshError")

/** The one error class of Meshwork. `message` is a sentence a person can act on. */
export class MeshError extends Error {
  override readonly name = "MeshError"
  readonly code: ErrorCode
  /** HTTP status that goes with the code. */
  readonly status: number
  readonly retry: Retry
  readonly retryAfterMs: number | undefined
  readonly members: Readonly<Record<string, unknown>> | undefined

  constructor(code: ErrorCode, message: string, options: MeshErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    const entry = errorCodes[code]
    this.code = code
    this.status = entry.status
    this.retry = entry.retry
    this.retryAfterMs = options.retryAfterMs ?? (entry.retry === "always" ? 1000 : undefined)
    this.members = options.members
    Object.defineProperty(this, brand, { value: true })
  }

  /** Whether trying again can help at all; codes that need a replayable request count. */
  get retryable(): boolean {
    return this.retry !== "never"
  }

  /** Recognises a MeshError of any installed copy of this package. */
  static is(value: unknown): value is MeshError {
    return value instanceof Error && (value as { [brand]?: unknown })[brand] === true
  }

  /** The value itself when it is a MeshError, else an `internal` (or `aborted`) one with the value as cause. */
  static from(value: unknown): MeshError {
    if (MeshError.is(value)) return value
    if (value instanceof Error && value.name === "AbortError") return new MeshError("aborted", value.message, { cause: value })
    return new MeshError("internal", value instanceof Error ? value.message : String(value), { cause: value })
  }
}
