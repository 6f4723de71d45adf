import type { LoadedConfig } from "@meshwork/config"
import { formatHostPort, type Instance, keyText } from "@meshwork/contract"
import type { ServerConnection } from "./server-connection.ts"

/** A difference between a configuration and a live mesh. */
export interface Finding {
  kind: "not-provided" | "nothing-serves" | "failing" | "not-registered" | "differs" | "only-registered" | "no-route"
  /** Place in the configuration; empty where it is about the mesh. */
  path: string
  service: string
  message: string
}

type StaticInstance = LoadedConfig["services"][string]["instances"][number]

/** What a live mesh has otherwise than the configuration says. Rejects as the connection does. */
export async function compareWithMesh(config: LoadedConfig, connection: ServerConnection): Promise<Finding[]> {
  const registered = new Map<string, Instance[]>()
  for (const instance of await connection.instances(await connection.services())) {
    const list = registered.get(instance.service)
    if (list === undefined) registered.set(instance.service, [instance])
    else list.push(instance)
  }
  const known = new Set(Object.entries(config.services).flatMap(([service, { instances }]) => instances.map(({ id }) => keyText({ service, id }))))
  return [
    ...checkRoutes(config, registered),
    ...checkStatic(config, registered),
    ...[...registered.values()]
      .flat()
      .flatMap((instance): Finding[] =>
        instance.origin === "config" && !known.has(keyText(instance))
          ? [finding("only-registered", "", instance.service, `${keyText(instance)} is registered from a configuration, and not in this one`)]
          : [],
      ),
    ...unrouted(config, registered),
  ]
}

function finding(kind: Finding["kind"], path: string, service: string, message: string): Finding {
  return { kind, path, service, message }
}

function checkRoutes(config: LoadedConfig, registered: ReadonlyMap<string, readonly Instance[]>): Finding[] {
  const told = new Set<string>()
  return config.routes.flatMap(({ target: { kind, name } }, index): Finding[] => {
    if (kind !== "service" || told.has(name)) return []
    told.add(name)
    const path = `routes[${index}].service`
    const instances = registered.get(name) ?? []
    if (instances.length === 0) {
      return config.services[name] === undefined ? [finding("not-provided", path, name, `nobody provides the service ${JSON.stringify(name)}`)] : []
    }
    const failing = instances
      .filter(({ health }) => health.status === "failing")
      .map((instance) => finding("failing", path, name, `${keyText(instance)} does not pass its checks: ${instance.health.reason}`))
    if (instances.some(({ standing }) => standing === "serving")) return failing
    const why = instances.map(({ id, standing, why: reason }) => `${id} is ${standing} (${reason})`).slice(0, 3)
    return [finding("nothing-serves", path, name, `no instance of ${JSON.stringify(name)} serves: ${why.join(", ")}`), ...failing]
  })
}

function checkStatic(config: LoadedConfig, registered: ReadonlyMap<string, readonly Instance[]>): Finding[] {
  return Object.entries(config.services).flatMap(([service, { instances }]) =>
    instances.flatMap((instance, index): Finding[] => {
      const path = `services.${service}.instances[${index}]`
      const live = registered.get(service)?.find(({ id }) => id === instance.id)
      if (live === undefined) return [finding("not-registered", path, service, `the mesh does not have ${service}/${instance.id}`)]
      const different = differences(instance, live)
      return different.length === 0
        ? []
        : [finding("differs", path, service, `${service}/${instance.id} differs in the mesh: ${different.join(", ")}`)]
    }),
  )
}

const compared: Readonly<Record<string, (instance: StaticInstance | Instance) => string>> = {
  address: ({ scheme, host, port }) => `${scheme}://${formatHostPort(host, port)}`,
  weight: ({ weight }) => String(weight ?? 1),
  priority: ({ priority }) => priority,
  zone: ({ zone }) => zone ?? "none",
  region: ({ region }) => region ?? "none",
  canary: ({ canary }) => String(canary ?? false),
  check: ({ check }) => (check === undefined ? "none" : `${check.method} ${check.path ?? ""} every ${check.frequencySeconds} s`),
}

function differences(written: StaticInstance, live: Instance): string[] {
  return Object.entries(compared)
    .filter(([, text]) => text(written) !== text(live))
    .map(([name, text]) => `${name} is ${text(live)} there and ${text(written)} here`)
}

function unrouted(config: LoadedConfig, registered: ReadonlyMap<string, readonly Instance[]>): Finding[] {
  const routed = new Set(config.routes.map(({ target }) => target.name))
  return [...registered.keys()]
    .filter((service) => !routed.has(service))
    .toSorted()
    .map((service) => finding("no-route", "", service, `the service ${JSON.stringify(service)} is in the mesh, and no route leads to it`))
}
