import type { Endpoint } from "@meshwork/client-sdk/pool"
import { Pool } from "undici"

/** The connections to instances: one undici pool per endpoint, gone with it. */
export class Backends {
  readonly #pools = new WeakMap<Endpoint, Pool>()
  readonly #open = new Set<Pool>()

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
      connect: { timeout: 60_000 },
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
