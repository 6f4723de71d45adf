import { type Health, type Instance, standingOf, type StandingInput } from "@meshwork/contract"
import { chooseAddress, type Vantage } from "./choose-address.ts"
import type { Departures } from "./departures.ts"
import type { Container } from "./engine.ts"
import { type NativeLabels, readNativeLabels } from "./native-labels.ts"
import { ownPlace, type Place } from "./without-proxy.ts"
import type { Warning } from "./warning.ts"

/** Labels by backend: a container is an instance when it has all of them with equal values. */
export type Backends = Readonly<Record<string, { readonly matchLabels: Readonly<Record<string, string>> }>>

/** A route that a container asks for with `meshwork.path_prefix`. */
export interface DockerRoute {
  readonly pathPrefix: string
  readonly service: string
}

/** What became of one container that has labels for us. */
export interface SeenContainer {
  readonly id: string
  readonly name: string
  readonly services: readonly string[]
  /** `host:port`, where it can be called. */
  readonly address?: { host: string; port: number }
  /** Why it is no instance, where it is none. */
  readonly reason?: string
  readonly warnings: readonly Warning[]
}

/** Everything that a list of containers means. */
export interface Reading {
  readonly services: ReadonlyMap<string, readonly Instance[]>
  readonly routes: readonly DockerRoute[]
  readonly containers: readonly SeenContainer[]
  /** Where containers with published ports are in networks of this machine, by id. */
  readonly own: ReadonlyMap<string, Place>
}

export interface ReadingOptions {
  containers: readonly Container[]
  backends: Backends
  /** Whether containers may name services and routes themselves. */
  native: boolean
  vantage: Vantage
  departures: Pick<Departures, "of" | "runOf">
  /** Unix ms since when a container has had this status. */
  since: (container: Container) => number
  /** Identity of the engine. */
  engine: string
  /** Addresses of this machine, where it is the engine's too. */
  locals?: ReadonlySet<string>
  /** Whether a container is to be called at its own address for now. */
  direct?: (id: string) => boolean
}

/** Turns a list of containers into instances, routes and reasons. Pure; the order of the list does not matter. */
export function readContainers(options: ReadingOptions): Reading {
  const { backends } = options
  const services = new Map<string, Instance[]>(Object.keys(backends).map((name) => [name, []]))
  const claims: RouteClaim[] = []
  const own = new Map<string, Place>()
  const seen: { container: Container; view: SeenContainer; warnings: Warning[] }[] = []
  // The oldest container first: whoever had a route keeps it.
  const ordered = options.containers.toSorted((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1))
  for (const container of ordered) {
    const { native, warnings } = readNativeLabels(container.labels)
    if (!options.native) delete native.service
    const names = servicesOf(container, native, backends)
    if (names.length === 0 && (warnings.length === 0 || !options.native)) continue
    const read = names.length === 0 ? { warnings } : readInstance(container, names[0] ?? "", native, options)
    const all = names.length === 0 ? warnings : [...warnings, ...read.warnings]
    seen.push({ container, warnings: all, view: { ...nameOf(container), services: names, ...outcomeOf(names, read), warnings: all } })
    if (!("instance" in read)) continue
    if (read.own !== undefined) own.set(container.id, read.own)
    for (const service of names) services.set(service, [...(services.get(service) ?? []), { ...read.instance, service }])
    if (native.service !== undefined && native.pathPrefix !== undefined)
      claims.push({ pathPrefix: native.pathPrefix, service: native.service, warnings: all })
  }
  for (const instances of services.values()) instances.sort((a, b) => (a.id < b.id ? -1 : 1))
  return { services, routes: settleRoutes(claims), containers: seen.map(({ view }) => view), own }
}

interface RouteClaim extends DockerRoute {
  warnings: Warning[]
}

/** One service for each prefix: the one whose container is the oldest. */
function settleRoutes(claims: readonly RouteClaim[]): DockerRoute[] {
  const taken = new Map<string, string>()
  for (const { pathPrefix, service, warnings } of claims) {
    const owner = taken.get(pathPrefix) ?? service
    taken.set(pathPrefix, owner)
    if (owner === service) continue
    const message = `asks for the route ${pathPrefix} to ${service}, but an older container has it for ${owner}`
    warnings.push({ kind: "route-taken", message })
  }
  return [...taken].map(([pathPrefix, service]) => ({ pathPrefix, service })).sort((a, b) => (a.pathPrefix < b.pathPrefix ? -1 : 1))
}

function servicesOf(container: Container, native: NativeLabels, backends: Backends): string[] {
  const matching = Object.entries(backends).filter(([, { matchLabels }]) =>
    Object.entries(matchLabels).every(([label, value]) => Object.hasOwn(container.labels, label) && container.labels[label] === value),
  )
  const names = matching.map(([name]) => name)
  return native.service === undefined || names.includes(native.service) ? names : [...names, native.service]
}

type ReadInstance = { instance: Instance; own: Place | undefined; warnings: readonly Warning[] } | { reason: string; warnings: readonly Warning[] }

function readInstance(container: Container, service: string, native: NativeLabels, options: ReadingOptions): ReadInstance {
  if (container.state !== "running" && container.state !== "paused") return { reason: `is ${container.state || "in no known state"}`, warnings: [] }
  const choice = chooseAddress(container, native.port, options.vantage)
  if ("reason" in choice) return { reason: choice.reason.message, warnings: [choice.reason, ...choice.warnings] }
  const own = choice.inner === undefined || options.locals === undefined ? undefined : ownPlace(container, choice.inner, options.locals)
  const { weight, priority = "med", check } = native
  const since = options.since(container)
  const health = healthOf(container, since)
  const suspect = container.health === "starting" ? "its HEALTHCHECK has not passed yet" : undefined
  // A process that took another's place starts with a clean slate, at the same address too.
  const run = options.departures.runOf(container.id)
  const { state, stateBy } = stateOf(container, options.departures.of(container.id))
  const instance: Instance = {
    ...(own !== undefined && options.direct?.(container.id) ? own : choice.address),
    service,
    id: container.id.slice(0, 12),
    scheme: "http",
    priority,
    ...(weight === undefined ? {} : { weight }),
    ...(check === undefined ? {} : { check }),
    tags: { "docker.container": container.name, "docker.image": container.image, "docker.engine": options.engine },
    ttlSeconds: 0,
    boot: `${container.id.slice(0, 12)}${run === "" ? "" : `.${run}`}`,
    origin: "docker",
    registeredAt: container.created * 1000,
    health,
    state,
    ...standingOf({ state, health, check, suspect, stateBy }),
  }
  return { instance, own, warnings: choice.warnings }
}

function healthOf({ health }: Container, since: number): Health {
  const by = "docker"
  if (health === "healthy") return { status: "passing", since, reason: "its HEALTHCHECK passes", by }
  if (health === "unhealthy") return { status: "failing", since, reason: "its HEALTHCHECK fails", by }
  return { status: "unknown", since, reason: health === "starting" ? "its HEALTHCHECK has not passed yet" : "it declares no HEALTHCHECK", by }
}

function stateOf(container: Container, departure: ReturnType<Departures["of"]>): Required<Pick<StandingInput, "state" | "stateBy">> {
  if (container.state === "paused") return { state: "disabled", stateBy: "docker pause" }
  if (departure === undefined) return { state: "up", stateBy: "" }
  return { state: departure.dead ? "disabled" : "draining", stateBy: departure.by }
}

const nameOf = ({ id, name }: Container): { id: string; name: string } => ({ id: id.slice(0, 12), name })

function outcomeOf(names: readonly string[], read: ReadInstance | { warnings: readonly Warning[] }): Pick<SeenContainer, "address" | "reason"> {
  if ("instance" in read) return { address: { host: read.instance.host, port: read.instance.port } }
  if ("reason" in read) return { reason: read.reason }
  return names.length === 0 ? { reason: "no label makes it an instance of a service" } : {}
}
