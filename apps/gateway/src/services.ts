import { balancers, circuitBreaker, createDiscoverySource, createPool, type DiscoverySource, type Pool } from "@meshwork/client-sdk/pool"
import type { MeshConfig } from "@meshwork/config"
import { type Clock, type Instance, type InstanceSource, type Random, standingOf } from "@meshwork/contract"
import type { Route } from "@meshwork/gateway"
import { withFallback } from "./fallback-source.ts"
import { keepSnapshotFile, readSnapshotFile, type SnapshotFile } from "./snapshot-file.ts"
import { createStaticServices, type StaticServices } from "./static-services.ts"

export interface ServicesOptions {
  config: MeshConfig
  /** File of the last known instances. */
  snapshotPath: string
  clock: Clock
  random: Random
  log: (level: "info" | "warn", message: string) => void
}

/** Where the gateway learns of instances, and the pools over it: one per service and way of choosing. */
export interface Services {
  pool(route: Route): Pool
  /** Absent when no route needs a discovery server. */
  readonly discovery: DiscoverySource | undefined
  /** Idempotent. */
  close(): Promise<void>
}

/** Composes the sources of a configuration: discovery servers where they are named, the file's instances as fallback or alone. */
export async function openServices(options: ServicesOptions): Promise<Services> {
  const { config, clock, random, log } = options
  const statics = createStaticServices({ services: staticInstances(config, clock.now()), clock, random, log })
  const { discovery, remembered } = await openDiscovery(options)
  const pools = new Map<string, Pool>()
  const breaker = circuitBreaker()

  return {
    discovery,
    pool({ service, balancer = "p2c", whenAllFail }) {
      const key = JSON.stringify([service, balancer, whenAllFail])
      let pool = pools.get(key)
      if (pool === undefined) {
        const chosen = balancers[balancer]
        const source = sourceOf(service, config, statics, discovery)
        pool = createPool({
          service,
          source,
          circuitBreaker: breaker,
          clock,
          random,
          log,
          ...(chosen ? { balancer: chosen } : {}),
          ...(whenAllFail ? { whenAllFail } : {}),
        })
        pools.set(key, pool)
      }
      return pool
    },
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.close()))
      await remembered?.close()
      await discovery?.close()
      await statics.close()
    },
  }
}

/** Discovery servers are asked only where a route leads to a service that the file does not know. */
async function openDiscovery(options: ServicesOptions): Promise<{ discovery: DiscoverySource | undefined; remembered: SnapshotFile | undefined }> {
  const { config, snapshotPath: path, clock, random, log } = options
  const urls = config.gateway.discovery
  const needed = urls.length > 0 && config.routes.some(({ target }) => target.kind === "service" && !Object.hasOwn(config.services, target.name))
  if (!needed) return { discovery: undefined, remembered: undefined }
  const initial = await readSnapshotFile(path, log)
  const discovery = createDiscoverySource({ urls, clock, random, initial, log })
  return { discovery, remembered: keepSnapshotFile({ path, snapshots: () => discovery.snapshots(), clock, log }) }
}

/** What a discovery server knows of a static service counts before the file, which then is probed by nobody here. */
function sourceOf(service: string, config: MeshConfig, statics: StaticServices, discovery: DiscoverySource | undefined): InstanceSource {
  const inFile = Object.hasOwn(config.services, service)
  if (discovery === undefined || Object.hasOwn(config.backends, service)) {
    if (inFile) statics.poll(service, true)
    return statics.source
  }
  return inFile ? withFallback(discovery, statics.source, (name, half) => statics.poll(name, half === "fallback")) : discovery
}

function staticInstances(config: MeshConfig, now: number): Map<string, Instance[]> {
  const health = { status: "unknown" as const, since: now, reason: "not probed yet", by: "gateway" }
  return new Map(
    Object.entries(config.services).map(([service, { instances }]) => [
      service,
      instances.map((instance): Instance => {
        const standing = standingOf({ state: "up", health, check: instance.check })
        return { ...instance, service, origin: "config", registeredAt: now, ttlSeconds: 0, health, state: "up", ...standing }
      }),
    ]),
  )
}
