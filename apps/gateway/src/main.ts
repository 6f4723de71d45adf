import { hostname } from "node:os"
import { join } from "node:path"
import type { MeshConfig, RouteConfig } from "@meshwork/config"
import { type Clock, formatHostPort, MeshError, type Random, sleep, systemClock, systemRandom } from "@meshwork/contract"
import { compileRoutes, createGateway, type ExplainedRequest, type Explanation, explain, type RouteSettings } from "@meshwork/gateway"
import type { AddressInfo } from "node:net"
import pino, { type Logger } from "pino"
import { createAdmin } from "./admin.ts"
import { dockerStats } from "./docker-stats.ts"
import { followLabelRoutes } from "./label-routes.ts"
import { startReporting } from "./reporter.ts"
import { openServices } from "./services.ts"
import { openStatsDatabase, type StatsDatabase } from "./stats-database.ts"

export interface RunGatewayOptions extends MeshConfig {
  /** Default: JSON lines on stderr. */
  log?: Logger
  /** Where the last known instances are kept. Default `.meshwork`. */
  dataDirectory?: string
  /** Sent with reports to discovery servers. */
  token?: string
  /** Whether discovery servers are told what was counted; default where a route needs one. */
  report?: boolean
  /** Whether the discovery servers know the file's services too, and so are asked about them first; default as `gateway.registered`. */
  registered?: boolean
  /** Variables that say where Docker is; default those of this process. */
  env?: Readonly<Record<string, string | undefined>>
  clock?: Clock
  random?: Random
}

/** A gateway that runs. */
export interface RunningGateway {
  /** Base URL of the data port. */
  readonly url: string
  /** Base URL of the admin API. */
  readonly adminUrl: string
  /** Stops accepting, finishes what is in flight, closes everything. Idempotent. */
  close(): Promise<void>
}

/** How long the start waits for Docker's first answer, ms. */
const firstAnswerMs = 2000

/** Starts a gateway as its configuration says; resolves when both ports are listened on. `invalid_config` names a port that is taken. */
export async function runGateway(options: RunGatewayOptions): Promise<RunningGateway> {
  const { clock = systemClock, random = systemRandom, dataDirectory = ".meshwork", env = process.env } = options
  const { host, port, adminPort, connectTimeoutMs, maxInFlight, maxConnections, trustedProxies, meshPeers, statsPath, rootAnswer, noRouteMembers } =
    options.gateway
  const { adminHost } = options.gateway
  const logger = options.log ?? pino({ name: "gateway", timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: 2, sync: true }))
  const log = (level: "info" | "warn" | "error", message: string): void => logger[level](message)

  const file = (ending: string): string => join(dataDirectory, `gateway-${port}.${ending}`)
  const paths = { snapshotPath: file("instances.json"), dockerSnapshotPath: file("containers.json") }
  const { registered = options.gateway.registered } = options
  const services = await openServices({ config: options, registered, ...paths, env, clock, random, log })
  const routes = options.routes.map((route) => routeSettings(route, options))
  const gateway = createGateway({
    routes,
    pool: (route) => services.pool(route),
    moreStats: () => dockerStats(services),
    settings: {
      connectTimeoutMs,
      maxInFlight,
      maxConnections,
      trustedProxies,
      ...(meshPeers === undefined ? {} : { meshPeers }),
      ...(statsPath === undefined ? {} : { statsPath }),
      ...(rootAnswer === undefined ? {} : { rootAnswer }),
      ...(noRouteMembers === undefined ? {} : { noRouteMembers }),
      ...(options.defaultResponse === undefined ? {} : { defaultResponse: options.defaultResponse }),
    },
    clock,
    log,
  })
  const admin = createAdmin(gateway, services)
  let reporter: { close(): Promise<void> } | undefined
  let labels: { close(): Promise<void> } | undefined
  let counts: StatsDatabase | undefined
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= (async () => {
      await gateway.close()
      await admin.close()
      await reporter?.close()
      await labels?.close()
      await counts?.close()
      await services.close()
      log("info", "gateway closed")
    })()
    return closing
  }

  try {
    // The admin port first: whoever watches it sees the data port come up, and a taken one costs no request.
    await admin.listen({ host: adminHost, port: adminPort }).catch((error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "is taken" : `cannot be listened on (${error.code ?? error.message})`
      throw new MeshError("invalid_config", `port ${adminPort} for the admin API ${why}: choose another one with --admin-port or gateway.adminPort`, {
        cause: error,
      })
    })
    // Whoever takes any free port has another one the next time.
    const { statsDatabase = port === 0 ? false : file("sqlite") } = options.gateway
    if (statsDatabase !== false) {
      counts = await openStatsDatabase({ path: statsDatabase, clock, log })
      if (counts.saved !== undefined) gateway.restoreStats(counts.saved)
      counts.keep(() => gateway.saveStats())
    }
    if (services.docker !== undefined) {
      if (services.docker.native) labels = followLabelRoutes(services.docker, { gateway, services, routes, settings: labelRoute(options), log })
      // Long enough for an engine that is there; one that is not answers at once, or is not waited for.
      const patience = new AbortController()
      await Promise.race([services.docker.asked, sleep(clock, firstAnswerMs, patience.signal)])
      patience.abort()
    }
    const listening = await gateway.listen({ host, port })
    if (options.report ?? services.discovery !== undefined) {
      const name = `${hostname().replace(/[^\x21-\x7e]/g, "_")}:${listening.port}`
      const { token } = options
      reporter = startReporting({ gateway, name, urls: options.gateway.discovery, clock, random, log, ...(token === undefined ? {} : { token }) })
    }
    const adminUrl = `http://${formatHostPort(within(adminHost), (admin.server.address() as AddressInfo).port)}`
    const url = `http://${formatHostPort(within(host), listening.port)}`
    logger.info(
      { ...(options.gateway.name === undefined ? {} : { gateway: options.gateway.name }), url, adminUrl, routes: options.routes.length },
      "gateway listens",
    )
    return { url, adminUrl, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** What a gateway with this configuration would do with a request, as far as that can be told without running it: `instances` is null. */
export function explainConfig(config: MeshConfig, request: ExplainedRequest): Explanation {
  return explain(compileRoutes(config.routes.map((route) => routeSettings(route, config))), request)
}

/** Where this machine reaches what is bound to an address. */
function within(host: string): string {
  return host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host
}

function labelRoute(config: MeshConfig): (route: { pathPrefix: string; service: string }) => RouteSettings {
  return ({ pathPrefix, service }) => ({ match: "prefix", path: pathPrefix, service, idleTimeoutMs: config.gateway.idleTimeoutMs })
}

function routeSettings({ target, ...route }: RouteConfig, config: MeshConfig): RouteSettings {
  return { ...route, service: target.name, idleTimeoutMs: route.idleTimeoutMs ?? config.gateway.idleTimeoutMs }
}
