import { formatHostPort, type Instance } from "@meshwork/contract"
import type { Breaker, CircuitBreaker } from "../breaker/circuit-breaker.ts"
import type { Endpoint, Outcome } from "./pool.ts"

const decay = 0.8
/** Share of its weight an instance begins with under slow start. */
const leastShare = 0.1

/** What a pool keeps of one `host:port`, from the first snapshot that names it to the one that does not. */
export class PoolEndpoint implements Endpoint {
  readonly address: string
  readonly #left = new AbortController()
  readonly gone: AbortSignal = this.#left.signal
  instance: Instance
  origin: string
  inFlight = 0
  latencyMs = 0
  lagMs = 0
  /** What balancers go by: the instance's own weight, or less while it starts slowly. */
  weight = 1
  /** Monotonic time of the last connection that could not be made. */
  refusedAt: number = Number.NEGATIVE_INFINITY
  /** Monotonic time at which this pool saw it begin to serve. */
  servingSince: number = Number.NEGATIVE_INFINITY

  /** Absent = nothing is ever refused. */
  breaker: Breaker | undefined
  readonly #circuitBreaker: CircuitBreaker | undefined

  constructor(instance: Instance, circuitBreaker?: CircuitBreaker) {
    this.#circuitBreaker = circuitBreaker
    this.breaker = circuitBreaker?.()
    this.address = formatHostPort(instance.host, instance.port)
    this.instance = instance
    this.origin = originOf(instance)
    this.weight = instance.weight ?? 1
  }

  get service(): string {
    return this.instance.service
  }

  get id(): string {
    return this.instance.id
  }

  get availability(): number | undefined {
    return this.instance.health.availability
  }

  /** Takes over a later record; another process starts with a clean slate. */
  update(instance: Instance, now: number): void {
    if (instance === this.instance) return
    const successor = instance.boot !== this.instance.boot
    const recovered = instance.standing === "serving" && this.instance.standing !== "serving"
    if (successor) {
      this.latencyMs = 0
      this.lagMs = 0
    }
    // Who is said to serve again need not wait until its breaker finds out by itself.
    if (successor || recovered) {
      this.refusedAt = Number.NEGATIVE_INFINITY
      this.breaker = this.#circuitBreaker?.()
    }
    if (successor || recovered) this.servingSince = now
    this.instance = instance
    this.origin = originOf(instance)
    this.weight = instance.weight ?? 1
  }

  /** Lets the weight grow with the time it serves; says whether it still has to grow. */
  ramp(slowStartMs: number, now: number): boolean {
    const whole = this.instance.weight ?? 1
    const share = (now - this.servingSince) / slowStartMs
    this.weight = share >= 1 ? whole : whole * Math.max(leastShare, share)
    return share < 1
  }

  /** Takes note of how a request ended. */
  learn(outcome: Outcome, now: number): void {
    if (outcome.refused) this.refusedAt = now
    else if (outcome.result === "success") this.refusedAt = Number.NEGATIVE_INFINITY
    if (outcome.load !== undefined) this.lagMs = (this.lagMs + lagOf(outcome.load)) / 2
    const { latencyMs } = outcome
    if (latencyMs === undefined || outcome.result === "aborted") return
    // Rises at once and falls slowly, so that one slow answer is not averaged away.
    this.latencyMs =
      latencyMs > this.latencyMs
        ? this.latencyMs === 0
          ? latencyMs
          : (this.latencyMs + latencyMs) / 2
        : this.latencyMs * decay + latencyMs * (1 - decay)
  }

  leave(): void {
    this.#left.abort()
  }
}

/** Milliseconds of `lag=` in an `X-Meshwork-Load`; 0 when there are none. */
function lagOf(load: string): number {
  const lag = /(?:^|,)\s*lag=(\d{1,7})(?:,|$)/.exec(load)?.[1]
  return lag === undefined ? 0 : Number(lag)
}

function originOf(instance: Instance): string {
  return `${instance.scheme === "https" ? "https" : "http"}://${formatHostPort(instance.host, instance.port)}`
}
