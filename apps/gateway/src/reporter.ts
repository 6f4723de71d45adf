import { createDiscoveryApi } from "@meshwork/client-sdk/discovery"
import { type Clock, type GatewayReport, MeshError, type Random, type Timer } from "@meshwork/contract"
import { type Gateway, Histogram } from "@meshwork/gateway"

const everyMs = 5000
const timeoutMs = 2000

export interface ReporterOptions {
  gateway: Gateway
  /** How this gateway is called in reports. */
  name: string
  /** Discovery servers; every one of them is told. */
  urls: readonly string[]
  token?: string
  clock: Clock
  random: Random
  log: (level: "info" | "warn", message: string) => void
}

/** Tells discovery servers every 5 s (+-10 %) what a gateway has counted, in the background. A server that is away is told when it is back. */
export function startReporting(options: ReporterOptions): { close(): Promise<void> } {
  const { gateway, clock, random, urls, token } = options
  const since = clock.now()
  const stop = new AbortController()
  const servers = urls.map((url) => {
    const api = createDiscoveryApi({ urls: [url], clock, timeoutMs, ...(token === undefined ? {} : { token }) })
    return { url, api, failing: "" }
  })
  let round: Promise<unknown> = Promise.resolve()
  let timer: Timer

  const tell = async (server: (typeof servers)[number], report: GatewayReport): Promise<void> => {
    try {
      await server.api.call("report", { body: report }, { signal: stop.signal })
      if (server.failing !== "") options.log("info", `reports reach ${server.url} again`)
      server.failing = ""
    } catch (error) {
      const { code, message } = MeshError.from(error)
      // That a server is away is what the source of instances says already.
      if (stop.signal.aborted || code === "connection_failed" || server.failing === code) return
      server.failing = code
      options.log("warn", `${server.url} takes no reports: ${message}`)
    }
  }
  const arm = (): void => {
    timer = clock
      .timer(everyMs * (0.9 + 0.2 * random()), () => {
        const report = reportOf(gateway, options.name, since)
        round = Promise.all(servers.map((server) => tell(server, report))).finally(() => {
          if (!stop.signal.aborted) arm()
        })
      })
      .unref()
  }
  arm()
  return {
    async close() {
      stop.abort()
      timer.cancel()
      await round
    },
  }
}

/** What a gateway has counted of each service, over all its routes. */
export function reportOf(gateway: Gateway, name: string, since: number): GatewayReport {
  const services = new Map<string, { success: number; error: number; latency: Histogram }>()
  for (const { service, success, error, latency } of gateway.counts()) {
    let sum = services.get(service)
    if (sum === undefined) services.set(service, (sum = { success: 0, error: 0, latency: new Histogram() }))
    sum.success += success
    sum.error += error
    sum.latency.add(latency)
  }
  const entries = [...services].map(([service, { success, error, latency }]) => {
    const latencyMs = { average: latency.average, p95: latency.percentile(0.95), p99: latency.percentile(0.99) }
    return [service, { success, error, latencyMs }] as const
  })
  return { gateway: name, since, services: Object.fromEntries(entries) }
}
