import { balancers, circuitBreaker, createDiscoverySource, createPool, type DiscoverySource, type Pool } from "@meshwork/client-sdk/pool"
import type { MeshConfig } from "@meshwork/config"
import { type Clock, type Instance, type InstanceSource, type Random, sleep, standingOf, type Timer } from "@meshwork/contract"
import type { Route } from "@meshwork/gateway"
import { type Docker, openDocker } from "./docker.ts"
import { withFallback } from "./fallback-source.ts"
import { mergeSources } from "./merged-source.ts"
import { keepSnapshotFile, readSnapshotFile, type SnapshotFile } from "./snapshot-file.ts"
import { createStaticServices, type StaticServices, type StaticServicesOptions } from "./static-services.ts"

/** How long the file's instances wait for discovery servers that should know them, ms. */
const registeredPatienceMs = 3000
/** How long a pool that no route uses any more is kept for requests under way, ms. */
const unusedPoolMs = 60_000

export interface ServicesOptions {
  config: MeshConfig
  /** Whether the discovery servers know the file's services too. */
  registered: boolean
  /** Variables that say where Docker is. */
  env: Readonly<Record<string, string | undefined>>
  /** Files of the last known instances, of discovery servers and of Docker. */
  snapshotPath: string
  dockerSnapshotPath: string
  clock: Clock
  random: Random
  log: (level: "info" | "warn", message: string) => void
  /** How the certificates of https instances are judged by the probes made here. */
  tls?: StaticServicesOptions["tls"]
}

/** Where the gateway learns of instances, and the pools over it: one per service and way of choosing. */
export interface Services {
  pool(route: Route): Pool
  /** Absent when no route needs a discovery server. */
  readonly discovery: DiscoverySource | undefined
  /** Absent when neither backends nor labels are asked for. */
  readonly docker: Docker | undefined
  /** Closes the pools of all other routes a while from now, when requests under way have ended. */
  keepOnly(routes: readonly Route[]): void
  /**
   * Opens what another configuration needs beside what is open; then the returned function makes it count, at once and whole. Rejects with
   * `invalid_config`, and nothing changes.
   */
  prepare(config: MeshConfig): Promise<() => void>
  /** Idempotent. */
  close(): Promise<void>
}

/** Composes the sources of a configuration: discovery servers where they are named, the file's instances as fallback or alone. */
export async function openServices(options: ServicesOptions): Promise<Services> {
  const { clock, random, log, tls } = options
  let { config } = options
  const statics = createStaticServices({ services: staticInstances(config, clock.now()), clock, random, log, tls })
  const sources: Sources = { statics, docker: undefined, discovery: undefined, patience: undefined }
  const memories: SnapshotFile[] = []
  const pools = new Map<string, Pool>()
  let wanted = new Set<string>()
  const closing = new Map<string, Timer>()
  const breaker = circuitBreaker()

  const open = async (needed: MeshConfig): Promise<void> => {
    const opened = { ...options, config: needed }
    if (sources.docker === undefined) {
      const docker = await openDocker({ ...opened, initial: () => readSnapshotFile(options.dockerSnapshotPath, log) })
      if (docker !== undefined) {
        sources.docker = docker
        memories.push(keepSnapshotFile({ path: options.dockerSnapshotPath, snapshots: () => docker.snapshots(), clock, log }))
      }
    }
    if (sources.discovery === undefined) {
      const { discovery, remembered } = await openDiscovery(opened)
      sources.discovery = discovery
      if (remembered !== undefined) memories.push(remembered)
      if (options.registered && discovery !== undefined) sources.patience = (signal) => sleep(clock, registeredPatienceMs, signal)
    }
  }
  await open(config)
  const keyOf = (route: Route): string => poolKey(route, sourceKind(route.service, config, sources))

  return {
    get discovery() {
      return sources.discovery
    },
    get docker() {
      return sources.docker
    },
    async prepare(next) {
      await open(next)
      return () => {
        config = next
        statics.update(staticInstances(next, clock.now()))
        sources.docker?.setBackends(next.backends)
      }
    },
    keepOnly(routes) {
      wanted = new Set(routes.map(keyOf))
      for (const key of pools.keys()) {
        if (wanted.has(key) || closing.has(key)) continue
        const end = (): void => {
          closing.delete(key)
          if (wanted.has(key)) return
          void pools.get(key)?.close()
          pools.delete(key)
        }
        closing.set(key, clock.timer(unusedPoolMs, end).unref())
      }
    },
    pool(route) {
      const { service, balancer = "p2c", whenAllFail } = route
      const key = keyOf(route)
      let pool = pools.get(key)
      if (pool === undefined) {
        const chosen = balancers[balancer]
        pool = createPool({
          service,
          source: sourceOf(service, sourceKind(service, config, sources), sources),
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
      for (const timer of closing.values()) timer.cancel()
      await Promise.all([...pools.values()].map((pool) => pool.close()))
      for (const memory of memories) await memory.close()
      await sources.docker?.close()
      await sources.discovery?.close()
      await statics.close()
    },
  }
}

/** Discovery servers are asked only where a route leads to a service that they know alone, or know too. */
async function openDiscovery(options: ServicesOptions): Promise<{ discovery: DiscoverySource | undefined; remembered: SnapshotFile | undefined }> {
  const { config, registered, snapshotPath: path, clock, random, log } = options
  const urls = config.gateway.discovery
  const theirs = (name: string) => registered || !Object.hasOwn(config.services, name)
  const needed = urls.length > 0 && config.routes.some(({ target }) => target.kind === "service" && theirs(target.name))
  if (!needed) return { discovery: undefined, remembered: undefined }
  const initial = await readSnapshotFile(path, log)
  const discovery = createDiscoverySource({ urls, clock, random, initial, log })
  return { discovery, remembered: keepSnapshotFile({ path, snapshots: () => discovery.snapshots(), clock, log }) }
}

function poolKey({ service, balancer = "p2c", whenAllFail }: Route, kind: string): string {
  return JSON.stringify([service, balancer, whenAllFail, kind])
}

interface Sources {
  statics: StaticServices
  discovery: DiscoverySource | undefined
  docker: Docker | undefined
  /** How long the file's instances hold back for those who should know them better. */
  patience: ((signal: AbortSignal) => Promise<void>) | undefined
}

/** Who knows the instances of a service: Docker alone, the file alone, those who are asked, or these with the file as fallback. */
type SourceKind = "docker" | "file" | "live" | "live, else file"

/**
 * Backends come from Docker alone. Services come from whatever knows them: discovery servers and, where containers may name services, Docker
 * too; the file's instances count while nobody else knows any, and only then are they probed here.
 */
function sourceKind(service: string, config: MeshConfig, { discovery, docker }: Sources): SourceKind {
  if (docker !== undefined && Object.hasOwn(config.backends, service)) return "docker"
  const live = discovery !== undefined || docker?.native === true
  if (!live) return "file"
  return Object.hasOwn(config.services, service) ? "live, else file" : "live"
}

function sourceOf(service: string, kind: SourceKind, { statics, discovery, docker, patience }: Sources): InstanceSource {
  if (kind === "docker" && docker !== undefined) return docker.source
  const native = docker?.native === true ? docker.source : undefined
  const live = discovery !== undefined && native !== undefined ? mergeSources(discovery, native) : (discovery ?? native)
  if (live === undefined) {
    statics.poll(service, true)
    return statics.source
  }
  if (kind === "live") return live
  const onUse = (name: string, half: "primary" | "fallback") => statics.poll(name, half === "fallback")
  return withFallback(live, statics.source, { onUse, ...(patience === undefined ? {} : { patience }) })
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
