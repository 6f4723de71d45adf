import { formatHostPort, type Instance } from "@meshwork/contract"
import type { Breaker, CircuitBreaker } from "../breaker/circuit-breaker.ts"
import type { Endpoint, Outcome } from "./pool.ts"

const decay = 0.8

/** What a pool keeps of one `host:port`, from the first snapshot that names it to the one that does not. */
export class PoolEndpoint implements Endpoint {
  readonly address: string
  readonly #left = new AbortController()
  readonly gone: AbortSignal = this.#left.signal
  instance: Instance
  origin: string
  inFlight = 0
  latencyMs = 0
  weight = 1
  /** Monotonic time of the last connection that could not be made. */
  refusedAt: number = Number.NEGATIVE_INFINITY
  /** Monotonic time at which this pool saw it begin to serve. */
  servingSince = 0

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

  /** Takes over a later record; another process starts with a clean slate. */
  update(instance: Instance): void {
    if (instance === this.instance) return
    const successor = instance.boot !== this.instance.boot
    const recovered = instance.standing === "serving" && this.instance.standing !== "serving"
    if (successor) this.latencyMs = 0
    // Who is said to serve again need not wait until its breaker finds out by itself.
    if (successor || recovered) {
      this.refusedAt = Number.NEGATIVE_INFINITY
      this.breaker = this.#circuitBreaker?.()
    }
    this.instance = instance
    this.origin = originOf(instance)
    this.weight = instance.weight ?? 1
  }

  /** Takes note of how a request ended. */
  learn(outcome: Outcome, now: number): void {
    if (outcome.refused) this.refusedAt = now
    else if (outcome.result === "success") this.refusedAt = Number.NEGATIVE_INFINITY
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

function originOf(instance: Instance): string {
  return `${instance.scheme === "https" ? "https" : "http"}://${formatHostPort(instance.host, instance.port)}`
}
