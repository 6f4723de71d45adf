import { type Clock, MeshError } from "@meshwork/contract"
import { Pool } from "undici"
import type { Endpoint } from "../pool/pool.ts"
import { Exchange } from "./exchange.ts"
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts"

const maxOrigins = 10_000

/** Sends over keep-alive connections of undici, one pool per origin; an endpoint that is gone takes its connections along. */
export function createUndiciTransport(clock: Clock): Transport {
  return new UndiciTransport(clock)
}

class UndiciTransport implements Transport {
  readonly #clock: Clock
  readonly #pools = new Map<string, Pool>()
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  send(request: TransportRequest): Promise<TransportResponse> {
    if (this.#closed) return Promise.reject(new MeshError("aborted", "the client is closed"))
    return new Promise((resolve, reject) => {
      const exchange = new Exchange(request, this.#clock, resolve, reject)
      try {
        this.#pool(request.endpoint).dispatch(
          { path: request.target, method: request.method, headers: request.headers, body: request.body },
          exchange,
        )
      } catch (error) {
        exchange.onResponseError(undefined, error as Error)
      }
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()))
    this.#pools.clear()
  }

  #pool(endpoint: Pick<Endpoint, "origin" | "gone">): Pool {
    const known = this.#pools.get(endpoint.origin)
    if (known) return known
    // Time limits are the exchange's: undici's are coarser than a call may ask for.
    const pool = new Pool(endpoint.origin, {
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: 60_000 },
      keepAliveTimeoutThreshold: 500,
      allowH2: false,
    })
    this.#pools.set(endpoint.origin, pool)
    endpoint.gone.addEventListener("abort", () => this.#drop(endpoint.origin), { once: true })
    const oldest = this.#pools.keys().next().value
    if (this.#pools.size > maxOrigins && oldest !== undefined) this.#drop(oldest)
    return pool
  }

  #drop(origin: string): void {
    const pool = this.#pools.get(origin)
    this.#pools.delete(origin)
    // Lets what is in flight finish.
    pool?.close().catch(() => {})
  }
}
