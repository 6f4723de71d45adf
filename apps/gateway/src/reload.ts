import type { MeshConfig } from "@meshwork/config"
import type { Gateway } from "@meshwork/gateway"
import type { UpstreamJudges } from "./certificates.ts"
import { gatewaySettings, labelRoute, needsRestart, routesOf } from "./gateway-settings.ts"
import type { LabelRoutes } from "./label-routes.ts"
import type { Services } from "./services.ts"

export interface ReloadOptions {
  /** What the gateway was started with. */
  config: MeshConfig
  gateway: Gateway
  services: Services
  labels: LabelRoutes | undefined
  judges: UpstreamJudges
  log: (level: "info" | "warn", message: string) => void
}

/** Makes the function that lets a running gateway go by another configuration; one after the other, however often it is called. */
export function createReload(options: ReloadOptions): (config: MeshConfig) => Promise<void> {
  const { gateway, services, labels, judges, log } = options
  let current = options.config
  const reload = async (config: MeshConfig): Promise<void> => {
    const apply = await services.prepare(config)
    const judged = JSON.stringify(config.gateway.upstreamTls) !== JSON.stringify(current.gateway.upstreamTls)
    if (judged) judges.read(config.gateway.upstreamTls)
    const restart = needsRestart(options.config, config)
    // From here to the end nothing waits and nothing can fail: no request sees a half of it.
    apply()
    const settings = gatewaySettings(config)
    if (labels === undefined) gateway.setRoutes(routesOf(config), settings)
    else labels.setRoutes(routesOf(config), labelRoute(config), (routes) => gateway.setRoutes(routes, settings))
    services.keepOnly(gateway.routes)
    if (judged) gateway.renewUpstreamTls()
    current = config
    log(
      "info",
      `the configuration counts from now on: ${count(config.routes.length, "route")}, ${count(Object.keys(config.services).length, "service")}`,
    )
    if (restart.length > 0) log("warn", `what the file says of ${restart.join(", ")} counts after a restart only`)
  }
  let last: Promise<unknown> = Promise.resolve()
  return (config) => {
    const done = last.then(() => reload(config))
    last = done.catch(() => {})
    return done
  }
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`
