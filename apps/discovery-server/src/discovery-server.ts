import { randomUUID } from "node:crypto"
import type { AddressInfo } from "node:net"
import { hostname } from "node:os"
import { formatHostPort, type Clock, type Random } from "@meshwork/contract"
import { createRegistry, type Registry, type RegistryLimits, type RegistryStorage } from "@meshwork/registry-core"
import type { Logger } from "pino"
import { type AccessToken, assertGuarded, createAuthorize } from "./access.ts"
import { dropContainers } from "./docker-records.ts"
import { type DockerServices, type DockerSettings, startDockerServices } from "./docker-services.ts"
import { createSuspectProbe, type HealthPolling, startHealthPolling } from "./health-polling.ts"
import { createHttpApp } from "./http-app.ts"
import { assertBindable, listenError } from "./listening.ts"
import { registerMetrics } from "./metrics.ts"
import { registerOpenApi } from "./openapi.ts"
import { GatewayReports } from "./reports.ts"
import { markStaleReads } from "./stale-reads.ts"
import { createStaticServices, type StaticInstance, type StaticServices } from "./static-services.ts"
import { registerLyft } from "./surfaces/lyft/index.ts"
import type { LyftSettings } from "./surfaces/lyft/settings.ts"
import { registerNative } from "./surfaces/native/index.ts"
import { registerPrometheus } from "./surfaces/prometheus/index.ts"
import { registerServerPy } from "./surfaces/serverpy/index.ts"

/** How long requests in flight may take once the server is closing, ms. */
const closeGraceMs = 5000

export interface DiscoveryServerOptions {
  /** Address to bind. Default 127.0.0.1. */
  host?: string
  /** Default 8008; 0 takes a free one. */
  port?: number
  /** What `GET /health` calls it; default nothing. */
  name?: string
  /** Where `/dump` writes. Default `.meshwork`. */
  dataDirectory?: string
  /** Where records are kept; closed with the server. */
  storage: RegistryStorage
  /** Who may change the registry; none = everyone who reaches it. */
  tokens?: readonly AccessToken[]
  /** Allows to be reachable for others without a token. */
  insecure?: boolean
  /** Instances from the configuration; kept as long as it names them. */
  instances?: readonly StaticInstance[]
  /** How the lyft surface behaves. */
  lyft?: LyftSettings
  /** Keeps containers that name a service in the registry; false or absent = does not, and removes those it kept before. */
  docker?: DockerSettings | false
  /** What other machines call this one, for ports that containers publish. */
  advertiseHost?: string
  /** Variables that say where Docker is; default those of this process. */
  env?: Readonly<Record<string, string | undefined>>
  limits?: RegistryLimits
  log: Logger
  clock: Clock
  random: Random
}

/** A running discovery server. */
export interface DiscoveryServer {
  /** Base URL, with the port it really has. */
  readonly url: string
  /** Makes the records of the configuration equal to `instances`. */
  applyInstances(instances: readonly StaticInstance[]): Promise<void>
  /** Ends watches, finishes requests in flight, then closes poller, registry and storage. Idempotent. */
  close(): Promise<void>
}

/**
 * Opens registry, poller and HTTP server, in that order, and listens.
 * Rejects with `invalid_config` when the address is taken or open to others without a token, and as the storage does.
 */
export async function createDiscoveryServer(options: DiscoveryServerOptions): Promise<DiscoveryServer> {
  const { storage, log, clock, random, tokens = [], insecure = false } = options
  const address = { host: options.host ?? "127.0.0.1", port: options.port ?? 8008 }
  assertGuarded({ host: address.host, tokens, insecure })
  const authorize = createAuthorize(tokens)
  // A taken port is the likelier mistake, and the clearer message, than the storage that goes with it.
  await assertBindable(address)

  const id = randomUUID()
  let registry: Registry | undefined
  let polling: HealthPolling | undefined
  let statics: StaticServices | undefined
  let docker: DockerServices | undefined
  const app = createHttpApp(log)
  const close = async () => {
    const cut = clock.timer(closeGraceMs, () => app.server.closeAllConnections()).unref()
    await app.close()
    cut.cancel()
    statics?.close()
    await docker?.close()
    await polling?.close()
    await (registry ?? storage).close()
  }
  let closing: Promise<void> | undefined
  const closeOnce = () => (closing ??= close())

  try {
    registry = await createRegistry({
      storage,
      server: { id, url: `http://${formatHostPort(reachableHost(options, address.host), address.port)}` },
      clock,
      random,
      probeSuspect: createSuspectProbe(clock),
      log: (level, message, fields) => log[level](fields ?? {}, message),
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    })
    const opened = registry
    const own = createStaticServices(opened, id, (message) => log.warn(message))
    statics = own
    if (options.instances !== undefined) await own.apply(options.instances)
    polling = startHealthPolling({ registry: opened, clock, random, log })
    docker = await openDocker(options, opened, address.host)
    markStaleReads(app, opened, clock)
    registerMetrics(app, { registry: opened, polling, docker, clock })
    await registerOpenApi(app)
    const reports = new GatewayReports(clock)
    registerNative(app, { registry: opened, polling, reports, authorize, clock })
    registerLyft(app, { registry: opened, authorize, settings: options.lyft ?? {} })
    registerPrometheus(app, opened)
    const { name, dataDirectory = ".meshwork" } = options
    registerServerPy(app, { registry: opened, polling, reports, authorize, dataDirectory, ...(name === undefined ? {} : { name }) })
    await app.listen(address).catch((error: unknown) => {
      throw listenError(error, address)
    })
    const { port } = app.server.address() as AddressInfo
    return {
      url: `http://${formatHostPort(address.host, port)}`,
      applyInstances: (instances) => own.apply(instances),
      close: closeOnce,
    }
  } catch (error) {
    await closeOnce().catch((cause: unknown) => log.warn({ err: cause }, "closing after a failed start"))
    throw error
  }
}

/** What other servers call this one: an address to bind may stand for all of this machine. */
function reachableHost({ advertiseHost }: DiscoveryServerOptions, bound: string): string {
  return advertiseHost ?? (bound === "0.0.0.0" || bound === "::" ? hostname() : bound)
}

/** A discovery server without Docker forgets the containers it knew when it still had it. */
async function openDocker(options: DiscoveryServerOptions, registry: Registry, bound: string): Promise<DockerServices | undefined> {
  const { docker = false, advertiseHost, env = process.env, clock, random, log } = options
  if (docker !== false) return startDockerServices({ registry, settings: docker, bound, advertiseHost, env, clock, random, log })
  await dropContainers(registry)
  return undefined
}
