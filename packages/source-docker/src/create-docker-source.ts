import { hostname } from "node:os"
import { type Clock, MeshError, type Random, type ServiceSnapshot, systemClock, systemRandom } from "@meshwork/contract"
import { EngineLink } from "./engine-link.ts"
import type { Vantage } from "./choose-address.ts"
import { Departures } from "./departures.ts"
import type { DockerSource, DockerStatus } from "./docker-source.ts"
import type { Container, DockerEngine } from "./engine.ts"
import { type Backends, type DockerRoute, readContainers, type Reading, type SeenContainer } from "./instances.ts"
import { ownContainer } from "./own-container.ts"
import { type Reaches, reachesOver, SixOnly } from "./six-only.ts"
import { Subscribers } from "./subscribers.ts"
import { localAddresses, WithoutProxy } from "./without-proxy.ts"

export interface DockerSourceOptions {
  engine: DockerEngine
  /** Backends and the labels that make a container an instance of one. */
  backends?: Backends
  /** Whether containers name services and routes themselves, with `meshwork.service` and `meshwork.path_prefix`; default true. */
  native?: boolean
  /** From where containers are called, unless this process shares a network with them. */
  vantage: Omit<Vantage, "own">
  /** Texts that tell in which container this process runs; empty = in none. */
  ownTraces?: readonly string[]
  /** Instances that were known before, used as suspects until the engine answers. */
  initial?: readonly ServiceSnapshot[]
  /** How often everything is listed whatever happened; default 30,000. */
  resyncMs?: number
  /** How it is found out whether something accepts connections; default by making one. */
  reaches?: Reaches
  /** Addresses of this machine; default those it has. */
  locals?: () => ReadonlySet<string>
  clock?: Clock
  random?: Random
  log?: (level: "info" | "warn", message: string) => void
}

/** Follows a Docker engine from now on until closed: it is listed on every connection, after every event and every 30 s. */
export function createDockerSource(options: DockerSourceOptions): DockerSource {
  return new EngineSource(options)
}

const everything = ""

class EngineSource implements DockerSource {
  readonly name: string
  readonly asked: Promise<void>
  readonly #options: DockerSourceOptions
  readonly #clock: Clock
  readonly #log: (level: "info" | "warn", message: string) => void
  readonly #departures: Departures
  readonly #sixOnly: SixOnly
  readonly #withoutProxy: WithoutProxy
  readonly #link: EngineLink
  readonly #stop = new AbortController()
  readonly #services = new Subscribers<ServiceSnapshot>()
  readonly #catalog = new Subscribers<string[]>()
  readonly #routeReaders = new Subscribers<readonly DockerRoute[]>()
  readonly #changeReaders = new Subscribers<number>()
  #backends: Backends
  readonly #snapshots = new Map<string, ServiceSnapshot>()
  /** What was told last of each topic, as text. */
  readonly #told = new Map<string, string>()
  readonly #warned = new Map<string, Set<string>>()
  readonly #since = new Map<string, { status: string; since: number }>()
  #containers: readonly Container[] = []
  #reading: Reading | undefined
  #engineId = ""
  #changes = 0
  #stale = false
  #first: () => void = () => {}

  constructor(options: DockerSourceOptions) {
    const { engine, clock = systemClock, random = systemRandom, initial = [], resyncMs = 30_000 } = options
    this.#options = options
    this.#backends = options.backends ?? {}
    this.#clock = clock
    this.#log = options.log ?? (() => {})
    this.name = `Docker at ${engine.address}`
    this.#departures = new Departures(clock)
    const { reaches = reachesOver(clock) } = options
    this.#sixOnly = new SixOnly(reaches, () => this.#read())
    this.#withoutProxy = new WithoutProxy(reaches, clock, () => this.#read())
    this.asked = new Promise((resolve) => (this.#first = resolve))
    for (const snapshot of initial) this.#snapshots.set(snapshot.service, remembered(snapshot, engine.address))
    this.#link = new EngineLink({
      engine,
      clock,
      random,
      resyncMs,
      departures: this.#departures,
      signal: this.#stop.signal,
      listed: (containers, engineId) => this.#listed(containers, engineId),
      departed: () => this.#departed(),
      lost: (why) => this.#lost(why),
      survived: (id, signal) => this.#survived(id, signal),
    })
  }

  watch(service: string, signal: AbortSignal): AsyncIterable<ServiceSnapshot> {
    const known = this.#snapshots.get(service) ?? (this.#asked() ? this.#snapshot(service, []) : undefined)
    return this.#services.follow(service, known, this.#both(signal))
  }

  services(signal: AbortSignal): AsyncIterable<string[]> {
    return this.#catalog.follow(everything, this.#asked() ? this.#names() : undefined, this.#both(signal))
  }

  routes(signal: AbortSignal): AsyncIterable<readonly DockerRoute[]> {
    return this.#routeReaders.follow(everything, this.#reading?.routes, this.#both(signal))
  }

  changes(signal: AbortSignal): AsyncIterable<number> {
    return this.#changeReaders.follow(everything, this.#reading === undefined ? undefined : this.#changes, this.#both(signal))
  }

  get engine(): string | undefined {
    return this.#reading === undefined ? undefined : this.#engineId
  }

  containers(): readonly SeenContainer[] {
    return this.#reading?.containers ?? []
  }

  snapshots(): readonly ServiceSnapshot[] {
    return [...this.#snapshots.values()]
  }

  setBackends(backends: Backends): void {
    this.#backends = backends
    if (this.#reading === undefined) this.#tellNames()
    else this.#read()
  }

  status(): DockerStatus {
    return { ...this.#link.status(), address: this.#options.engine.address, containers: this.#containers.length }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#link.ended
    this.#withoutProxy.end()
    this.#first()
  }

  #both(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#stop.signal])
  }

  #asked(): boolean {
    return this.#reading !== undefined || this.#stale
  }

  #names(): string[] {
    return [...new Set([...Object.keys(this.#backends), ...(this.#reading?.services ?? this.#snapshots).keys()])].sort()
  }

  #listed(containers: readonly Container[], engineId: string): void {
    const back = this.#reading !== undefined && this.#stale
    this.#containers = containers
    this.#engineId = engineId === "" ? `${hostname()} ${this.#options.engine.address}` : engineId
    this.#stale = false
    this.#departures.keepOnly(containers)
    this.#forget(containers)
    this.#sixOnly.sync(containers)
    this.#withoutProxy.end()
    const first = this.#reading === undefined
    this.#read()
    const what = `${containers.length} containers run, ${this.#instances()} of them as instances`
    if (first || back) this.#log("info", `${this.name} ${back ? "is back" : "is heard"}: ${what}`)
    this.#first()
  }

  /** Before the first list there is nothing to take anyone out of, and what is remembered must stay. */
  #departed(): void {
    if (this.#reading !== undefined) this.#read()
  }

  #lost(why: unknown): void {
    this.#first()
    if (this.#stale) return
    this.#stale = true
    const kept = this.#reading === undefined ? "" : "the last known instances stay in use, and "
    this.#log("warn", `${MeshError.from(why).message}; ${kept}it is tried again for ever`)
    const services = new Set([...this.#snapshots.keys(), ...this.#services.topics])
    for (const service of services) this.#tell(service, this.#snapshots.get(service)?.instances ?? [])
    this.#tellNames()
    if (this.#reading !== undefined) this.#withoutProxy.begin(this.#reading.own)
  }

  #survived(id: string, signal: number): void {
    const name = this.#containers.find((container) => container.id === id)?.name ?? id.slice(0, 12)
    this.#log("warn", `container ${name} still runs after signal ${signal} (survived-signal): it is used again`)
    this.#read()
  }

  /** Works out what the last list means and tells what changed. */
  #read(): void {
    const { native = true, vantage, ownTraces = [], locals = localAddresses } = this.#options
    const own = ownContainer(this.#containers, ownTraces)
    const reading = readContainers({
      containers: this.#containers,
      backends: this.#backends,
      native,
      vantage: own === undefined || own.hostNetwork ? { ...vantage, overSix: (port) => this.#sixOnly.has(port) } : seenFrom(own),
      departures: this.#departures,
      since: (container) => this.#statusSince(container),
      engine: this.#engineId,
      ...(vantage.loopback && own === undefined ? { locals: locals() } : {}),
      direct: (id) => this.#withoutProxy.has(id),
    })
    const before = this.#reading === undefined ? -1 : this.#changes
    this.#reading = reading
    for (const [service, instances] of reading.services) this.#tell(service, instances)
    const followed = new Set(this.#services.topics)
    for (const service of new Set([...this.#snapshots.keys(), ...followed])) {
      if (reading.services.has(service)) continue
      this.#tell(service, [])
      if (followed.has(service)) continue
      this.#snapshots.delete(service)
      this.#told.delete(`service ${service}`)
    }
    this.#tellNames()
    if (this.#changed("routes", reading.routes)) this.#routeReaders.tell(everything, reading.routes)
    if (this.#changes !== before) this.#changeReaders.tell(everything, this.#changes)
    for (const seen of reading.containers) this.#warn(seen)
  }

  #tell(service: string, instances: ServiceSnapshot["instances"]): void {
    if (!this.#changed(`service ${service}`, [this.#stale, instances])) return
    this.#changes++
    const snapshot = this.#snapshot(service, instances)
    this.#snapshots.set(service, snapshot)
    this.#services.tell(service, snapshot)
  }

  #tellNames(): void {
    const names = this.#names()
    if (this.#changed("names", names)) this.#catalog.tell(everything, names)
  }

  #snapshot(service: string, instances: ServiceSnapshot["instances"]): ServiceSnapshot {
    return { service, instances, at: this.#clock.now(), ...(this.#stale ? { stale: true } : {}) }
  }

  #changed(topic: string, value: unknown): boolean {
    const text = JSON.stringify(value)
    if (this.#told.get(topic) === text) return false
    this.#told.set(topic, text)
    return true
  }

  #statusSince(container: Container): number {
    const status = `${container.state} ${container.health}`
    const known = this.#since.get(container.id)
    if (known?.status === status) return known.since
    const since = this.#clock.now()
    this.#since.set(container.id, { status, since })
    return since
  }

  #warn({ id, name, warnings }: SeenContainer): void {
    const said = this.#warned.get(id) ?? new Set()
    this.#warned.set(id, said)
    for (const { kind, message } of warnings) {
      if (said.has(message)) continue
      said.add(message)
      this.#log("warn", `container ${name} (${id}) ${message} (${kind})`)
    }
  }

  #forget(containers: readonly Container[]): void {
    const ids = new Set(containers.flatMap(({ id }) => [id, id.slice(0, 12)]))
    for (const known of [this.#warned, this.#since]) for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
  }

  #instances(): number {
    return this.#reading?.containers.filter((container) => container.address !== undefined).length ?? 0
  }
}

/** From within a container what is published on every address of the machine is called at the machine's address in that network. */
function seenFrom(own: Container): Vantage {
  const gateway = own.networks.find((network) => network.gateway !== undefined)?.gateway
  return { publicHost: gateway ?? "127.0.0.1", loopback: false, own }
}

function remembered(snapshot: ServiceSnapshot, address: string): ServiceSnapshot {
  const why = `remembered from before the restart: Docker at ${address} has not answered yet`
  const instances = snapshot.instances.map((instance) =>
    instance.standing === "serving" ? { ...instance, standing: "suspect" as const, why } : instance,
  )
  return { ...snapshot, instances, stale: true }
}
