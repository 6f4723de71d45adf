import {
  type Clock,
  formatHostPort,
  type Instance,
  type InstanceSource,
  type Origin,
  type Random,
  type ServiceSnapshot,
  systemClock,
  systemRandom,
} from "@meshwork/contract"
import type { Balancer, BalancerFactory } from "../balancers/index.ts"
import { p2c } from "../balancers/index.ts"
import type { Breaker, BreakerState, CircuitBreaker, Passage } from "../breaker/circuit-breaker.ts"
import type { Candidate, Outcome, Picked, PickOptions, Pool } from "./pool.ts"
import { PoolEndpoint } from "./pool-endpoint.ts"
import { arrange, type Tiers } from "./tiers.ts"

const avoidRefusedMs = 1000
/** In how many steps a weight grows under slow start. */
const rampSteps = 20

export interface PoolOptions {
  service: string
  source: InstanceSource
  /** Default p2c. */
  balancer?: BalancerFactory
  /** Where the caller is. */
  zone?: string
  /** What to do when every checked instance fails: use all of them, or none. Default `spread` for 3 or more instances, else `fail`. */
  whenAllFail?: "spread" | "fail"
  /** How long the share of an instance that begins to serve grows from a tenth to the whole, ms. Default 0: at once. */
  slowStartMs?: number
  /** The breaker of each instance. Default none. */
  circuitBreaker?: CircuitBreaker
  /** Hears of every change of state of a breaker. */
  onBreaker?: (state: BreakerState) => void
  clock?: Clock
  random?: Random
  /** One line when the source fails. */
  log?: (level: "warn", message: string) => void
}

/** A pool that follows a source until it is closed. */
export function createPool(options: PoolOptions): Pool {
  return new SourcedPool(options)
}

const trust: Record<Origin, number> = { api: 0, lyft: 0, etcd: 0, docker: 1, config: 2 }

class SourcedPool implements Pool {
  readonly service: string
  readonly #options: PoolOptions
  readonly #clock: Clock
  readonly #balancer: Balancer
  readonly #breaker: CircuitBreaker | undefined
  readonly #endpoints = new Map<string, PoolEndpoint>()
  readonly #stop = new AbortController()
  readonly #first: Promise<boolean>
  readonly #following: Promise<void>
  #tiers: Tiers = []
  /** When the weights of those that start slowly are looked at again. */
  #rampAt = Number.POSITIVE_INFINITY
  #state: { at: number; stale: boolean } | null = null
  #arrived: (known: boolean) => void = () => {}

  constructor(options: PoolOptions) {
    this.service = options.service
    this.#options = options
    this.#clock = options.clock ?? systemClock
    const { circuitBreaker, onBreaker } = options
    this.#breaker = circuitBreaker && (() => circuitBreaker(onBreaker))
    this.#balancer = (options.balancer ?? p2c)(options.random ?? systemRandom)
    this.#first = new Promise((resolve) => {
      this.#arrived = resolve
    })
    this.#following = this.#follow()
  }

  get state(): { at: number; stale: boolean } | null {
    return this.#state
  }

  pick(options: PickOptions = {}): Picked | undefined {
    const now = this.#clock.monotonic()
    if (now >= this.#rampAt) this.#ramp(now)
    let doubtful: readonly PoolEndpoint[] = []
    for (const tier of this.#tiers) {
      const usable = this.#usable(tier, options, now)
      if (usable.length > 0) return this.#take(usable, options, now)
      if (doubtful.length === 0) doubtful = tier.filter((endpoint) => !options.exclude?.has(endpoint.address) && permitted(endpoint, now))
    }
    // Only endpoints that refused a moment ago are left: one of them may be back.
    return doubtful.length > 0 ? this.#take(doubtful, options, now) : undefined
  }

  async ready(signal?: AbortSignal): Promise<boolean> {
    if (this.#state !== null) return true
    if (signal === undefined) return this.#first
    const gaveUp = new Promise<boolean>((resolve) => {
      if (signal.aborted) resolve(false)
      signal.addEventListener("abort", () => resolve(this.#state !== null), { once: true })
    })
    return Promise.race([this.#first, gaveUp])
  }

  candidates(): Candidate[] {
    const now = this.#clock.monotonic()
    const eligible = new Set<object>(this.#eligible(now))
    return [...this.#endpoints.values()].map((endpoint) => ({
      endpoint,
      weight: endpoint.weight,
      standing: endpoint.instance.standing,
      why: endpoint.instance.why,
      eligible: eligible.has(endpoint),
      ...(endpoint.breaker === undefined ? {} : { breaker: endpoint.breaker.state(now) }),
    }))
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#following
    for (const endpoint of this.#endpoints.values()) endpoint.leave()
    this.#endpoints.clear()
    this.#tiers = []
    this.#arrived(false)
  }

  /** Those of which `pick` takes one now. */
  #eligible(now: number): readonly object[] {
    const usable = this.#tiers.map((tier) => this.#usable(tier, {}, now)).find((tier) => tier.length > 0)
    const candidates = usable ?? this.#tiers.map((tier) => tier.filter((endpoint) => permitted(endpoint, now))).find((tier) => tier.length > 0) ?? []
    return candidates.length === 0 ? candidates : (this.#balancer.among?.(candidates) ?? candidates)
  }

  /** The tier itself when nothing in it is to be avoided, so that an ordinary pick allocates nothing. */
  #usable(tier: readonly PoolEndpoint[], { exclude }: PickOptions, now: number): readonly PoolEndpoint[] {
    const usable = (endpoint: PoolEndpoint): boolean =>
      now - endpoint.refusedAt >= avoidRefusedMs && !exclude?.has(endpoint.address) && permitted(endpoint, now)
    return tier.every(usable) ? tier : tier.filter(usable)
  }

  #take(candidates: readonly PoolEndpoint[], options: PickOptions, now: number): Picked {
    return new Pick(this.#balancer.pick(candidates, options) as PoolEndpoint, this.#clock, now)
  }

  async #follow(): Promise<void> {
    const { source, log } = this.#options
    try {
      for await (const snapshot of source.watch(this.service, this.#stop.signal)) this.#apply(snapshot)
    } catch (error) {
      if (!this.#stop.signal.aborted) log?.("warn", `${source.name} stopped telling about ${this.service}: ${String(error)}`)
    }
  }

  #ramp(now: number): void {
    const { slowStartMs = 0 } = this.#options
    let growing = false
    for (const endpoint of this.#endpoints.values()) growing = endpoint.ramp(slowStartMs, now) || growing
    this.#rampAt = growing ? now + slowStartMs / rampSteps : Number.POSITIVE_INFINITY
  }

  #apply(snapshot: ServiceSnapshot): void {
    const now = this.#clock.monotonic()
    const chosen = onePerAddress(snapshot.instances)
    for (const [address, endpoint] of this.#endpoints) {
      if (chosen.has(address)) continue
      this.#endpoints.delete(address)
      endpoint.leave()
    }
    for (const [address, instance] of chosen) {
      const known = this.#endpoints.get(address)
      if (known) known.update(instance, now)
      else {
        const endpoint = new PoolEndpoint(instance, this.#breaker)
        // Those of the first snapshot serve already.
        if (this.#state !== null) endpoint.servingSince = now
        this.#endpoints.set(address, endpoint)
      }
    }
    if (this.#options.slowStartMs) this.#ramp(now)
    this.#tiers = arrange([...this.#endpoints.values()], this.#options)
    this.#state = { at: snapshot.at, stale: snapshot.stale === true }
    this.#arrived(true)
  }
}

class Pick implements Picked {
  readonly endpoint: PoolEndpoint
  readonly #clock: Clock
  readonly #breaker: Breaker | undefined
  readonly #passage: Passage | undefined
  #open = true

  constructor(endpoint: PoolEndpoint, clock: Clock, now: number) {
    this.endpoint = endpoint
    this.#clock = clock
    // A successor gets a breaker of its own, and this request says nothing about it.
    this.#breaker = endpoint.breaker
    this.#passage = endpoint.breaker?.enter(now)
    endpoint.inFlight++
  }

  done(outcome: Outcome): void {
    if (!this.#open) return
    this.#open = false
    this.endpoint.inFlight--
    const now = this.#clock.monotonic()
    this.endpoint.learn(outcome, now)
    if (this.#passage) this.#breaker?.leave(this.#passage, outcome.result, now)
  }
}

function permitted({ breaker }: PoolEndpoint, now: number): boolean {
  return breaker === undefined || breaker.permits(now)
}

/** Two records of one host:port are one endpoint: who registered itself is believed before Docker, and Docker before configuration. */
function onePerAddress(instances: readonly Instance[]): Map<string, Instance> {
  const chosen = new Map<string, Instance>()
  for (const instance of instances) {
    const address = formatHostPort(instance.host, instance.port)
    const rival = chosen.get(address)
    if (rival === undefined || trust[instance.origin] < trust[rival.origin] || better(instance, rival)) chosen.set(address, instance)
  }
  return chosen
}

function better(instance: Instance, rival: Instance): boolean {
  return trust[instance.origin] === trust[rival.origin] && instance.standing === "serving" && rival.standing !== "serving"
}
