import { hostname } from "node:os"
import { join } from "node:path"
import type { AddressInfo } from "node:net"
import type { MeshConfig } from "@meshwork/config"
import { type Clock, formatHostPort, MeshError, type Random, sleep, systemClock, systemRandom } from "@meshwork/contract"
import { compileRoutes, createGateway, type ExplainedRequest, type Explanation, explain } from "@meshwork/gateway"
import pino, { type Logger } from "pino"
import { type AccessLog, openAccessLog } from "./access-log.ts"
import { createAdmin } from "./admin.ts"
import { followCertificates, readPair, UpstreamJudges, validity } from "./certificates.ts"
import { dockerStats } from "./docker-stats.ts"
import { gatewaySettings, labelRoute, routesOf } from "./gateway-settings.ts"
import { followLabelRoutes, type LabelRoutes } from "./label-routes.ts"
import { createReload } from "./reload.ts"
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
  /**
   * Goes by the routes, services, backends and limits of another configuration, at once and whole; requests under way end as they began. What
   * only a restart can change is told to the log. Rejects with `invalid_config`, and nothing changes.
   */
  readonly reload: (config: MeshConfig) => Promise<void>
  /** Opens the file of the access log anew, after it was moved away. */
  readonly reopenLogs: () => void
  /** Stops accepting, finishes what is in flight, closes everything. Idempotent. */
  close(): Promise<void>
}

/** How long the start waits for Docker's first answer, ms. */
const firstAnswerMs = 2000

/** Starts a gateway as its configuration says; resolves when both ports are listened on. `invalid_config` names a port that is taken. */
export async function runGateway(options: RunGatewayOptions): Promise<RunningGateway> {
  const { clock = systemClock, random = systemRandom, dataDirectory = ".meshwork", env = process.env } = options
  const { host, port, adminHost, adminPort, tls, upstreamTls } = options.gateway
  const logger = options.log ?? pino({ name: "gateway", timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: 2, sync: true }))
  const log = (level: "info" | "warn" | "error", message: string): void => logger[level](message)

  const file = (ending: string): string => join(dataDirectory, `gateway-${port}.${ending}`)
  const paths = { snapshotPath: file("instances.json"), dockerSnapshotPath: file("containers.json") }
  const { registered = options.gateway.registered } = options
  const pair = tls && readPair(tls)
  const judges = new UpstreamJudges(upstreamTls)
  const access: AccessLog | undefined =
    options.gateway.accessLog === false ? undefined : await openAccessLog(options.gateway.accessLog, { clock, log })
  const services = await openServices({ config: options, registered, ...paths, env, clock, random, log, tls: (service) => judges.of(service) })
  const gateway = createGateway({
    routes: routesOf(options),
    pool: (route) => services.pool(route),
    moreStats: () => dockerStats(services),
    settings: gatewaySettings(options),
    upstreamTls: (service) => judges.of(service),
    ...(pair === undefined ? {} : { tls: pair }),
    ...(access === undefined ? {} : { access: (entry) => access.write(entry) }),
    clock,
    log,
  })
  let closing: Promise<void> | undefined
  const admin = createAdmin(gateway, { services, access, closing: () => closing !== undefined })
  const certificates = followCertificates({ tls, judges, gateway, clock, log })
  let reporter: { close(): Promise<void> } | undefined
  let labels: LabelRoutes | undefined
  let counts: StatsDatabase | undefined
  const close = (): Promise<void> => {
    closing ??= (async () => {
      await gateway.close()
      await admin.close()
      await certificates.close()
      await reporter?.close()
      await labels?.close()
      await counts?.close()
      await services.close()
      await access?.close()
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
      if (services.docker.native)
        labels = followLabelRoutes(services.docker, { gateway, services, routes: routesOf(options), settings: labelRoute(options), log })
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
    const scheme = pair === undefined ? "http" : "https"
    const url = `${scheme}://${formatHostPort(within(host), listening.port)}`
    const { name } = options.gateway
    const told = { ...(name === undefined ? {} : { gateway: name }), ...(pair === undefined ? {} : { certificateValidUntil: validity(pair.cert) }) }
    logger.info({ ...told, url, adminUrl, routes: options.routes.length }, "gateway listens")
    const reload = createReload({ config: options, gateway, services, labels, judges, log })
    return { url, adminUrl, close, reload, reopenLogs: () => access?.reopen() }
  } catch (error) {
    await close()
    throw error
  }
}

/** What a gateway with this configuration would do with a request, as far as that can be told without running it: `instances` is null. */
export function explainConfig(config: MeshConfig, request: ExplainedRequest): Explanation {
  return explain(compileRoutes(routesOf(config)), request, { settings: gatewaySettings(config) })
}

/** Where this machine reaches what is bound to an address. */
function within(host: string): string {
  return host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host
}
