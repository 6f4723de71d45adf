import { type Clock, MeshError, systemClock } from "@meshwork/contract"
import type { Breaker, CircuitBreaker } from "../breaker/circuit-breaker.ts"
import type { Client } from "./client.ts"
import { createClientForPool } from "./client.ts"
import type { ClientOptions } from "./client-options.ts"
import type { Candidate, Endpoint, Picked, Pool } from "../pool/pool.ts"

export interface FixedClientOptions extends ClientOptions {
  /** Base URL, or a function that tells the present one before each attempt. */
  endpoint: string | (() => string)
  /** The breaker of each origin. Default none. */
  circuitBreaker?: CircuitBreaker | false
}

const keptBreakers = 16

/** A client of one address, without any discovery. */
export function createClient(options: FixedClientOptions): Client {
  const { endpoint, circuitBreaker, clock = systemClock, ...rest } = options
  const read = typeof endpoint === "string" ? () => endpoint : endpoint
  const first = parse(read())
  return createClientForPool({ ...rest, clock, pool: new FixedPool(read, circuitBreaker || undefined, clock), basePath: first.pathname })
}

function parse(text: string): URL {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new MeshError("invalid_config", `an endpoint is an http or https URL, found ${text}`)
  return new URL(text)
}

/** A pool of the one address that a function names. */
class FixedPool implements Pool {
  readonly service: string
  readonly state: { at: number; stale: boolean } = { at: 0, stale: false }
  readonly #read: () => string
  readonly #circuitBreaker: CircuitBreaker | undefined
  readonly #clock: Clock
  readonly #breakers = new Map<string, Breaker>()
  #endpoint: FixedEndpoint

  constructor(read: () => string, circuitBreaker: CircuitBreaker | undefined, clock: Clock) {
    this.#read = read
    this.#circuitBreaker = circuitBreaker
    this.#clock = clock
    this.#endpoint = new FixedEndpoint(parse(read()))
    this.service = this.#endpoint.address
  }

  pick(): Picked | undefined {
    const url = parse(this.#read())
    if (url.origin !== this.#endpoint.origin) {
      this.#endpoint.leave()
      this.#endpoint = new FixedEndpoint(url)
    }
    const endpoint = this.#endpoint
    if (this.#circuitBreaker === undefined) {
      endpoint.inFlight++
      return { endpoint, done: () => void endpoint.inFlight-- }
    }
    return this.#guarded(endpoint, this.#breakerOf(endpoint.origin, this.#circuitBreaker))
  }

  #guarded(endpoint: FixedEndpoint, breaker: Breaker): Picked | undefined {
    const now = this.#clock.monotonic()
    if (!breaker.permits(now)) return undefined
    const passage = breaker.enter(now)
    endpoint.inFlight++
    let open = true
    return {
      endpoint,
      done: ({ result }) => {
        if (!open) return
        open = false
        endpoint.inFlight--
        breaker.leave(passage, result, this.#clock.monotonic())
      },
    }
  }

  /** The latest origins keep their breakers: a function may go back and forth between them. */
  #breakerOf(origin: string, circuitBreaker: CircuitBreaker): Breaker {
    let breaker = this.#breakers.get(origin)
    if (breaker === undefined) {
      const [oldest] = this.#breakers.keys()
      if (this.#breakers.size >= keptBreakers && oldest !== undefined) this.#breakers.delete(oldest)
      this.#breakers.set(origin, (breaker = circuitBreaker()))
    }
    return breaker
  }

  ready(): Promise<boolean> {
    return Promise.resolve(true)
  }

  candidates(): Candidate[] {
    const endpoint = this.#endpoint
    const breaker = this.#breakers.get(endpoint.origin)?.state(this.#clock.monotonic())
    const { standing, why } = endpoint.instance
    return [{ endpoint, weight: 1, standing, why, eligible: breaker !== "open", ...(breaker === undefined ? {} : { breaker }) }]
  }

  close(): Promise<void> {
    this.#endpoint.leave()
    return Promise.resolve()
  }
}

class FixedEndpoint implements Endpoint {
  readonly service: string
  readonly id: string
  readonly address: string
  readonly origin: string
  readonly instance: Endpoint["instance"]
  readonly latencyMs = 0
  inFlight = 0
  readonly #left = new AbortController()
  readonly gone: AbortSignal = this.#left.signal

  constructor(url: URL) {
    const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port)
    this.address = `${url.hostname}:${port}`
    this.service = this.address
    this.id = this.address
    this.origin = url.origin
    this.instance = {
      service: this.address,
      id: this.address,
      host: url.hostname,
      port,
      scheme: url.protocol === "https:" ? "https" : "http",
      priority: "med",
      tags: {},
      ttlSeconds: 0,
      origin: "config",
      registeredAt: 0,
      health: { status: "unknown", since: 0, reason: "", by: "" },
      state: "up",
      standing: "serving",
      why: "a fixed endpoint",
    }
  }

  leave(): void {
    this.#left.abort()
  }
}
