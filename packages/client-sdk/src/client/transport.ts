import type { Readable } from "node:stream"
import type { Endpoint } from "../pool/pool.ts"
import type { WireHeaders } from "./wire-headers.ts"

/** One request on the wire. */
export interface TransportRequest {
  endpoint: Pick<Endpoint, "origin" | "gone">
  method: string
  /** Path and query, percent-encoded. */
  target: string
  headers: Readonly<Record<string, string | string[]>>
  body: Uint8Array | string | null
  /** Whether sending it twice does no harm: a kept-alive connection that turns out to be dead is replaced in silence. */
  replayable: boolean
  /** Limit until response headers, ms; `attempt_timeout` after it. */
  timeoutMs: number
  /** Limit until there is a connection, ms; `connection_failed` after it. */
  connectTimeoutMs: number
  /** Limit between two chunks of the body, ms. */
  idleTimeoutMs: number
  /** Aborts the request, the body included. */
  signal: AbortSignal | undefined
}

/** The head of an answer and its body, which must be read or discarded. */
export interface TransportResponse {
  readonly status: number
  readonly headers: WireHeaders
  /** Whether the whole body has arrived already. */
  readonly complete: boolean
  /** The body as a stream, for one reader. */
  readonly body: Readable
  /** The whole body; the same again when asked again. */
  bytes(): Promise<Buffer>
  /** Frees the connection without reading on. Idempotent. */
  discard(): void
}

/** What sends requests. Rejects with `connection_failed` (nothing was sent), `upstream_reset`, `attempt_timeout` or `aborted`. */
export interface Transport {
  send(request: TransportRequest): Promise<TransportResponse>
  close(): Promise<void>
}
