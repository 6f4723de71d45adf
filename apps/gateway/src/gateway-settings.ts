import type { MeshConfig, RouteConfig } from "@meshwork/config"
import type { GatewaySettings, RouteSettings } from "@meshwork/gateway"

/** What a configuration says of the data plane. */
export function gatewaySettings({ gateway, defaultResponse }: MeshConfig): GatewaySettings {
  const { connectTimeoutMs, maxInFlight, maxLagMs, maxConnections, serverTiming, trustedProxies, meshPeers } = gateway
  const { statsPath, rootAnswer, noRouteMembers } = gateway
  return {
    connectTimeoutMs,
    maxInFlight,
    maxLagMs,
    maxConnections,
    serverTiming,
    trustedProxies,
    ...(meshPeers === undefined ? {} : { meshPeers }),
    ...(statsPath === undefined ? {} : { statsPath }),
    ...(rootAnswer === undefined ? {} : { rootAnswer }),
    ...(noRouteMembers === undefined ? {} : { noRouteMembers }),
    ...(defaultResponse === undefined ? {} : { defaultResponse }),
  }
}

/** The routes of a configuration, in the data plane's terms. */
export function routesOf(config: MeshConfig): RouteSettings[] {
  return config.routes.map(({ target, ...route }: RouteConfig) => ({
    ...route,
    service: target.name,
    idleTimeoutMs: route.idleTimeoutMs ?? config.gateway.idleTimeoutMs,
  }))
}

/** How a route is made of what a container asks for. */
export function labelRoute(config: MeshConfig): (route: { pathPrefix: string; service: string }) => RouteSettings {
  return ({ pathPrefix, service }) => ({ match: "prefix", path: pathPrefix, service, idleTimeoutMs: config.gateway.idleTimeoutMs })
}

/** What is fixed when a gateway starts. */
const fixed = ["name", "host", "port", "adminPort", "discovery", "docker", "maxConnections", "statsDatabase", "accessLog", "tls"] as const

/** Keys in which two configurations differ although only a restart lets a gateway follow them. */
export function needsRestart(before: MeshConfig, after: MeshConfig): string[] {
  const differs = (key: (typeof fixed)[number]): boolean => JSON.stringify(before.gateway[key]) !== JSON.stringify(after.gateway[key])
  return fixed.filter(differs).map((key) => `gateway.${key}`)
}
