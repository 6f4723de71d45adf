import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import type { Pool, RetryBudget } from "@meshwork/client-sdk/pool"
import type { Clock } from "@meshwork/contract"
import type { AccessEntry } from "./access-log.ts"
import type { Backends } from "./backends.ts"
import type { Admitted } from "./guard.ts"
import type { ForwardHead } from "./headers.ts"
import type { Route } from "./route-settings.ts"

/** What all exchanges of a gateway share. */
export interface ExchangeParts {
  clock: Clock
  backends: Backends
  connectTimeoutMs: number
  /** How long a request waits for the first snapshot of its service, ms. */
  firstSnapshotMs: number
  finished(route: Route, status: number, ms: number): void
  /** Hears of every exchange that has ended, where there is an access log. */
  access: ((entry: AccessEntry) => void) | undefined
  /** Whether answers say where their time went. */
  serverTiming: boolean
  /** Whether the gateway is about to stop. */
  closing(): boolean
  /** Whether what the caller sent after the head is no HTTP. */
  malformed(request: IncomingMessage): boolean
}

/** A request that found its route. */
export interface RoutedRequest {
  request: IncomingMessage
  response: ServerResponse
  route: Route
  pool: Pool
  /** Pays for repeats; the caller's own count too. */
  budget: RetryBudget
  admitted: Admitted
  head: ForwardHead
  /** Address of the caller's end of the connection. */
  client: string
  /** The caller waits for 100 Continue. */
  expectsContinue: boolean
  /** The caller's socket, when it asks for an upgrade. */
  upgrade?: { socket: Duplex; head: Buffer; protocol: string }
}
