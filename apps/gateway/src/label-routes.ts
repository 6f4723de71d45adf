import type { Gateway, RouteSettings } from "@meshwork/gateway"
import type { DockerRoute } from "@meshwork/source-docker"
import type { Docker } from "./docker.ts"
import type { Services } from "./services.ts"

export interface LabelRoutesOptions {
  gateway: Pick<Gateway, "setRoutes" | "routes">
  services: Services
  /** Routes of the file, which win. */
  routes: readonly RouteSettings[]
  /** Makes a route out of what a container asks for. */
  settings: (route: DockerRoute) => RouteSettings
  log: (level: "info" | "warn", message: string) => void
}

/** The routes that containers ask for, beside those of the file. */
export interface LabelRoutes {
  /** Replaces the routes of the file, those of containers stay. */
  setRoutes(routes: readonly RouteSettings[], settings: (route: DockerRoute) => RouteSettings, apply: Apply): void
  close(): Promise<void>
}

type Apply = (routes: readonly RouteSettings[]) => void

/** Adds the routes that containers ask for to those of the file, and takes them away again, until closed. */
export function followLabelRoutes(docker: Docker, options: LabelRoutesOptions): LabelRoutes {
  const stop = new AbortController()
  const { gateway } = options
  let { routes, settings } = options
  let asked: readonly DockerRoute[] = []
  let before = new Map<string, string>()
  const apply = (replace: Apply): void => {
    before = applyLabelRoutes(asked, before, { ...options, routes, settings }, replace)
  }
  const following = (async () => {
    for await (const latest of docker.routes(stop.signal)) {
      asked = latest
      apply((all) => gateway.setRoutes(all))
    }
  })()
  return {
    setRoutes(ofFile, settingsOf, replace) {
      routes = ofFile
      settings = settingsOf
      apply(replace)
    },
    close() {
      stop.abort()
      return following
    },
  }
}

/** Returns the service of each prefix, for the next time. */
function applyLabelRoutes(
  asked: readonly DockerRoute[],
  before: ReadonlyMap<string, string>,
  options: LabelRoutesOptions,
  replace: Apply,
): Map<string, string> {
  const { gateway, services, routes, settings, log } = options
  const taken = new Map(routes.filter(takesPrefix).map((route) => [route.path, route.service]))
  const now = new Map(asked.map(({ pathPrefix, service }) => [pathPrefix, service]))
  replace([...routes, ...asked.filter(({ pathPrefix }) => !taken.has(pathPrefix)).map(settings)])
  services.keepOnly(gateway.routes)
  for (const [prefix, service] of now) {
    if (before.get(prefix) === service) continue
    const owner = taken.get(prefix)
    if (owner === undefined) log("info", `route ${prefix} to ${service}: asked for by the labels of a container`)
    else if (owner !== service)
      log("warn", `route ${prefix} to ${service}, asked for by the labels of a container, is not made: the configuration has it for ${owner}`)
  }
  for (const [prefix, service] of before) if (!now.has(prefix)) log("info", `route ${prefix} to ${service} is gone with its last container`)
  return now
}

function takesPrefix(route: RouteSettings): boolean {
  return route.match === "prefix" && route.host === undefined && route.methods === undefined
}
