import { randomUUID } from "node:crypto"
import { type Clock, type Random, systemClock, systemRandom } from "@meshwork/contract"
import type { BalancerFactory } from "./balancers/index.ts"
import { roundRobin } from "./balancers/index.ts"
import { type BreakerState, type CircuitBreaker, circuitBreaker as circuitBreakerOf } from "./breaker/circuit-breaker.ts"
import { type Client, createClientForPool } from "./client/client.ts"
import type { ClientOptions } from "./client/client-options.ts"
import type { ClientObserver } from "./client/observer.ts"
import { createUndiciTransport } from "./client/undici-transport.ts"
import { createDiscoveryApi } from "./discovery-api/index.ts"
import { createPool } from "./pool/create-pool.ts"
import type { Pool } from "./pool/pool.ts"
import { RegistrationKeeper } from "./registration/keeper.ts"
import type { MeshRegistration, RegisterOptions } from "./registration/registration-options.ts"
import { processLoad } from "./server/load-meter.ts"
import { createDiscoverySource, type DiscoverySource } from "./sources/discovery-source.ts"

export interface MeshOptions {
  /** Base URL of a discovery server, or several for fail-over. */
  discovery: string | readonly string[]
  /** Token of the discovery servers; default `MESHWORK_TOKEN` of the environment. */
  token?: string
  /** This program's name, sent with its calls as `X-Service-Name`. */
  serviceName?: string
  /** Where this program runs; instances in the same zone are preferred. */
  zone?: string
  /** Hears what the calls of all clients do, for metrics. */
  observer?: ClientObserver
  clock?: Clock
  random?: Random
  /** One line when contact to the registry is lost or regained. Default: stderr. */
  log?: (level: "info" | "warn", message: string) => void
}

export interface MeshClientOptions extends ClientOptions {
  /** Default roundRobin. */
  balancer?: BalancerFactory
  /** What to do when every checked instance fails. Default `spread` for 3 or more, else `fail`. */
  whenAllFail?: "spread" | "fail"
  /** How long the share of an instance that begins to serve grows from a tenth to the whole, ms. Default 0: at once. */
  slowStartMs?: number
  /** The breaker of each instance. Default `circuitBreaker()`; false: none. */
  circuitBreaker?: CircuitBreaker | false
}

/** The mesh as one process sees it. */
export interface Mesh {
  readonly source: DiscoverySource
  /** A client of a service; its instances are followed from now on. */
  client(service: string, options?: MeshClientOptions): Client
  /** Registers an instance of this process and keeps it registered. Rejects only when the registry refuses it. */
  register(options: RegisterOptions): Promise<MeshRegistration>
  /** Takes every registration out, then ends all connections. Idempotent, never rejects. */
  close(): Promise<void>
}

const usualBreaker = circuitBreakerOf()

/** Joins a mesh; one per process. `invalid_config` when a URL is none. */
export function createMesh(options: MeshOptions): Mesh {
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  const log = options.log ?? ((level, message) => level === "warn" && process.stderr.write(`meshwork: ${message}\n`))
  const urls = typeof options.discovery === "string" ? options.discovery.split(",") : options.discovery
  const token = options.token ?? (process.env.MESHWORK_TOKEN || undefined)
  const access = { urls, clock, ...(token === undefined ? {} : { token }) }
  const api = createDiscoveryApi(access)
  const source = createDiscoverySource({ ...access, random, log })
  const transport = createUndiciTransport(clock)
  const boot = randomUUID()
  const pools = new Set<Pool>()
  const registrations = new Set<RegistrationKeeper>()
  let signals: (() => void) | undefined
  let closing: Promise<void> | undefined

  async function close(): Promise<void> {
    await Promise.all([...registrations].map((registration) => registration.close()))
    await source.close()
    await Promise.all([...pools].map((pool) => pool.close()))
    await transport.close()
    signals?.()
  }

  const mesh: Mesh = {
    source,
    client(service, client = {}) {
      const { balancer = roundRobin, whenAllFail, circuitBreaker = usualBreaker, slowStartMs = 0, observer = options.observer, ...rest } = client
      const zone = options.zone === undefined ? {} : { zone: options.zone }
      const pool = createPool({
        service,
        source,
        balancer,
        slowStartMs,
        clock,
        random,
        ...zone,
        ...(whenAllFail ? { whenAllFail } : {}),
        ...(circuitBreaker ? { circuitBreaker } : {}),
        ...(observer?.breaker ? { onBreaker: (state: BreakerState) => observer.breaker?.(service, state) } : {}),
      })
      pools.add(pool)
      const name = options.serviceName === undefined ? {} : { serviceName: options.serviceName }
      return createClientForPool({ clock, random, transport, ...name, ...rest, ...(observer ? { observer } : {}), pool })
    },
    async register(register) {
      const registration = new RegistrationKeeper(register, { api, clock, random, boot, load: processLoad, log })
      registrations.add(registration)
      if (register.signals !== false) signals ??= onSignals(() => mesh.close())
      try {
        await registration.start()
      } catch (error) {
        registrations.delete(registration)
        throw error
      }
      return registration
    },
    close() {
      closing ??= close()
      return closing
    },
  }
  return mesh
}

/** Runs `leave` once when the process is asked to stop, then ends it. Returns the way to take the listeners back. */
function onSignals(leave: () => Promise<void>): () => void {
  const listener = (): void => {
    void leave().finally(() => process.exit(0))
  }
  process.on("SIGTERM", listener)
  process.on("SIGINT", listener)
  return () => {
    process.off("SIGTERM", listener)
    process.off("SIGINT", listener)
  }
}
