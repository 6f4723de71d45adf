import { type Clock, MeshError } from "@meshwork/contract"
import { buildConnector, Pool } from "undici"
import type { Endpoint } from "../pool/pool.ts"
import { Exchange, type ExchangeCarrier } from "./exchange.ts"
import type { Transport, TransportRequest, TransportResponse } from "./transport.ts"

const maxOrigins = 10_000
/** Above every limit a call sets for connecting; ends what undici still tries for calls that gave up. */
const connectTimeoutMs = 10_000

/** Sends over keep-alive connections of undici, one pool per origin; an endpoint that is gone takes its connections along. */
export function createUndiciTransport(clock: Clock): Transport {
  return new UndiciTransport(clock)
}

class UndiciTransport implements Transport, ExchangeCarrier {
  readonly #clock: Clock
  readonly #pools = new Map<string, Pool>()
  readonly #stale = new WeakSet<Error>()
  readonly #connect: buildConnector.connector
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
    const connect = buildConnector({ timeout: connectTimeoutMs, allowH2: false })
    this.#connect = (options, callback) =>
      connect(options, (...result) => {
        const [, socket] = result
        socket?.prependListener("error", (error: Error) => {
          if (socket.bytesRead > 0) this.#stale.add(error)
        })
        callback(...result)
      })
  }

  send(request: TransportRequest): Promise<TransportResponse> {
    if (this.#closed) return Promise.reject(new MeshError("aborted", "the client is closed"))
    if (request.signal?.aborted) return Promise.reject(new MeshError("aborted", "the caller gave up", { cause: request.signal.reason }))
    return new Promise((resolve, reject) => this.dispatch(new Exchange(request, this.#clock, this, { resolve, reject })))
  }

  dispatch(exchange: Exchange): void {
    const { endpoint, target, method, headers, body } = exchange.request
    try {
      this.#pool(endpoint).dispatch({ path: target, method, headers, body }, exchange)
    } catch (error) {
      exchange.onResponseError(undefined, error as Error)
    }
  }

  /** A connection that has read before and broke before it read this answer: the server had closed it meanwhile. */
  wasStale(error: Error): boolean {
    const { socket } = error as { socket?: { bytesRead?: number } | null }
    return this.#stale.has(error) || (socket?.bytesRead ?? 0) > 0
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()))
    this.#pools.clear()
  }

  #pool({ origin, gone }: Pick<Endpoint, "origin" | "gone">): Pool {
    const known = this.#pools.get(origin)
    if (known) return known
    const pool = new Pool(origin, { headersTimeout: 0, bodyTimeout: 0, connect: this.#connect, keepAliveTimeoutThreshold: 500, allowH2: false })
    this.#pools.set(origin, pool)
    // Picked just before it left: one last request.
    if (gone.aborted) queueMicrotask(() => this.#drop(origin))
    else gone.addEventListener("abort", () => this.#drop(origin), { once: true })
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
