import type { Endpoint } from "@meshwork/client-sdk/pool"
import type { Socket } from "node:net"
import type { Clock } from "@meshwork/contract"
import { buildConnector, Pool } from "undici"

/** How long a connection that cannot be written to may still be read from, ms. */
const lastWordsMs = 100

/** The connections to instances: one undici pool per endpoint, gone with it. */
export class Backends {
  readonly #pools = new WeakMap<Endpoint, Pool>()
  readonly #open = new Set<Pool>()
  readonly #connector: buildConnector.connector

  /** @param connectTimeoutMs limit of one connect */
  constructor(connectTimeoutMs: number, clock: Clock) {
    const connect = buildConnector({ timeout: connectTimeoutMs })
    this.#connector = (options, callback) =>
      connect(options, (...[error, socket]) => {
        if (socket) readBeforeGoing(socket, clock)
        callback(...([error, socket] as Parameters<typeof callback>))
      })
  }

  of(endpoint: Endpoint): Pool {
    return this.#pools.get(endpoint) ?? this.#connect(endpoint)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((pool) => pool.destroy().catch(() => {})))
    this.#open.clear()
  }

  #connect(endpoint: Endpoint): Pool {
    // Time limits are the proxy's: undici's are coarser than a route may ask for.
    const pool = new Pool(endpoint.origin, {
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: this.#connector,
      keepAliveTimeoutThreshold: 500,
      allowH2: false,
    })
    this.#pools.set(endpoint, pool)
    this.#open.add(pool)
    const leave = (): void => {
      this.#open.delete(pool)
      this.#pools.delete(endpoint)
      // Requests in flight finish first.
      pool.close().catch(() => {})
    }
    if (endpoint.gone.aborted) leave()
    else endpoint.gone.addEventListener("abort", leave, { once: true })
    return pool
  }
}

/**
 * A backend may answer in the middle of an upload and close: what it said waits to be read while writing to it fails already. Lets the reading
 * come first, so that its answer counts and not the broken pipe.
 */
function readBeforeGoing(socket: Socket, clock: Clock): void {
  const destroy = socket.destroy.bind(socket)
  let going = false
  socket.destroy = (error?: Error & { syscall?: string }): Socket => {
    if (going || error?.syscall !== "write" || socket.readableEnded) return destroy(error)
    going = true
    const timer = clock.timer(lastWordsMs, () => destroy(error))
    socket.once("end", () => {
      timer.cancel()
      destroy(error)
    })
    return socket
  }
}
