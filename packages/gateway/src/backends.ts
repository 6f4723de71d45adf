import { isIP, type Socket } from "node:net"
import type { Endpoint } from "@meshwork/client-sdk/pool"
import type { Clock } from "@meshwork/contract"
import { buildConnector, type Dispatcher, Pool } from "undici"

/** How long a connection that cannot be written to may still be read from, ms. */
const lastWordsMs = 100

/** How the certificates of a service's https instances are judged. */
export interface UpstreamTls {
  /** PEM of the authorities to believe, in place of those that Node brings. */
  ca?: string | undefined
  /** Name a certificate must be for, also sent as SNI; default the host of the instance. */
  serverName?: string | undefined
  /** Accepts any certificate; default false. */
  insecure?: boolean | undefined
}

export interface BackendsOptions {
  /** Limit of one connect. */
  connectTimeoutMs: number
  clock: Clock
  /** Undefined for a service means the authorities that Node brings, and the host of the instance. */
  upstreamTls?: (service: string) => UpstreamTls | undefined
}

interface Connections {
  origin: string
  secure: boolean
  pool: Pool
}

/** The connections to instances: one undici pool per endpoint, gone with it. */
export class Backends {
  readonly #connections = new WeakMap<Endpoint, Connections>()
  readonly #open = new Map<Pool, () => void>()
  readonly #clock: Clock
  #options: BackendsOptions

  constructor(options: BackendsOptions) {
    this.#options = options
    this.#clock = options.clock
  }

  dispatch(endpoint: Endpoint, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    let connections = this.#connections.get(endpoint)
    if (connections === undefined || connections.origin !== endpoint.origin) connections = this.#connect(endpoint, connections)
    // Else undici goes by the Host header, which is the caller's: it would decide whose certificate is right.
    const own = connections.secure ? { ...options, servername: endpoint.instance.host } : options
    connections.pool.dispatch(own, handler)
  }

  /** Goes by other settings from now on: what is under way ends where it is. */
  renew(options: BackendsOptions): void {
    this.#options = options
    for (const leave of this.#open.values()) leave()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((pool) => pool.destroy().catch(() => {})))
    this.#open.clear()
  }

  #connect(endpoint: Endpoint, before: Connections | undefined): Connections {
    if (before !== undefined) this.#open.get(before.pool)?.()
    // Time limits are the proxy's: undici's are coarser than a route may ask for.
    const pool = new Pool(endpoint.origin, {
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: this.#connectorFor(endpoint),
      keepAliveTimeoutThreshold: 500,
      allowH2: false,
    })
    const connections = { origin: endpoint.origin, secure: endpoint.origin.startsWith("https:"), pool }
    this.#connections.set(endpoint, connections)
    const leave = (): void => {
      endpoint.gone.removeEventListener("abort", leave)
      this.#open.delete(pool)
      if (this.#connections.get(endpoint) === connections) this.#connections.delete(endpoint)
      // Requests in flight finish first.
      pool.close().catch(() => {})
    }
    this.#open.set(pool, leave)
    if (endpoint.gone.aborted) leave()
    else endpoint.gone.addEventListener("abort", leave, { once: true })
    return connections
  }

  #connectorFor({ service, origin, instance }: Endpoint): buildConnector.connector {
    const { connectTimeoutMs: timeout, upstreamTls } = this.#options
    const secure = origin.startsWith("https:")
    const { ca, serverName, insecure = false } = (secure ? upstreamTls?.(service) : undefined) ?? {}
    const servername = serverName ?? (isIP(instance.host) === 0 ? instance.host : "")
    const connect = buildConnector({ timeout, allowH2: false, rejectUnauthorized: !insecure, ...(ca === undefined ? {} : { ca }) })
    return (options, callback) =>
      connect(secure ? { ...options, servername } : options, (...[error, socket]) => {
        if (socket) readBeforeGoing(socket, this.#clock)
        callback(...([error, socket] as Parameters<typeof callback>))
      })
  }
}

/** Why the certificate of an instance was not accepted; undefined for any other fault. */
export function certificateFault(error: Error): string | undefined {
  const { code = "", message } = error as NodeJS.ErrnoException
  const refused = code.startsWith("ERR_TLS_CERT") || /_CERT|^CERT_|_CRL|UNABLE_TO_VERIFY/.test(code)
  return refused ? `the certificate of the instance is not accepted: ${message}` : undefined
}

/**
 * A backend may answer in the middle of an upload and close: what it said waits to be read while writing to it fails already. Lets the reading
 * come first, so that its answer counts and not the broken pipe.
 */
export function readBeforeGoing(socket: Socket, clock: Clock): void {
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
