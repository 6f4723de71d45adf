import { type Clock, MeshError, type Random, systemClock, systemRandom } from "@meshwork/contract"
import { currentContext } from "../context.ts"
import { Deadline } from "../deadline.ts"
import type { Picked, Pool } from "../pool/pool.ts"
import { effectivePriority } from "../priority.ts"
import { byMethod, sequential, single, type Strategy, strategyFor } from "../strategies/strategy.ts"
import { classify } from "./classify.ts"
import type { CallOptions, ClientOptions } from "./client-options.ts"
import { requestTarget } from "./request-target.ts"
import { Response } from "./response.ts"
import { type AttemptOutcome, runAttempts } from "./run-attempts.ts"
import type { Transport, TransportResponse } from "./transport.ts"
import { createUndiciTransport } from "./undici-transport.ts"

/** Calls one service. Resolves to whatever answer came over the wire; rejects with a MeshError when none did. */
export interface Client {
  request(method: string, path: string, options?: CallOptions): Promise<Response>
  get(path: string, options?: CallOptions): Promise<Response>
  head(path: string, options?: CallOptions): Promise<Response>
  options(path: string, options?: CallOptions): Promise<Response>
  put(path: string, options?: CallOptions): Promise<Response>
  post(path: string, options?: CallOptions): Promise<Response>
  patch(path: string, options?: CallOptions): Promise<Response>
  delete(path: string, options?: CallOptions): Promise<Response>
  /** Ends its connections. Idempotent. */
  close(): Promise<void>
}

const firstSnapshotMs = 2000
const once = single()
const thrice = sequential({ attempts: 3 })
const usual = byMethod({ GET: thrice, HEAD: thrice, OPTIONS: thrice, default: once })

/** A client over a pool of endpoints. `basePath` is what relative paths are joined to. */
export function createClientForPool(options: ClientOptions & { pool: Pool; basePath?: string }): Client {
  return new PoolClient(options)
}

interface Wire {
  response: TransportResponse
  address: string
}

interface Call {
  method: string
  target: string
  headers: Record<string, string>
  body: Buffer | string | null
  options: CallOptions
  signal: AbortSignal
  /** Requests put on the wire. */
  sent: number
  tried: Set<string>
}

class PoolClient implements Client {
  readonly #options: ClientOptions
  readonly #pool: Pool
  readonly #base: string
  readonly #clock: Clock
  readonly #random: Random
  readonly #transport: Transport
  readonly #lowTimeoutMs: number

  constructor(options: ClientOptions & { pool: Pool; basePath?: string }) {
    this.#options = options
    this.#pool = options.pool
    this.#base = new URL(options.basePath ?? "/", "http://service").href
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#transport = options.transport ?? createUndiciTransport(this.#clock)
    this.#lowTimeoutMs = options.lowTimeoutMs ?? 5
  }

  get(path: string, options?: CallOptions): Promise<Response> {
    return this.request("GET", path, options)
  }
  head(path: string, options?: CallOptions): Promise<Response> {
    return this.request("HEAD", path, options)
  }
  options(path: string, options?: CallOptions): Promise<Response> {
    return this.request("OPTIONS", path, options)
  }
  put(path: string, options?: CallOptions): Promise<Response> {
    return this.request("PUT", path, options)
  }
  post(path: string, options?: CallOptions): Promise<Response> {
    return this.request("POST", path, options)
  }
  patch(path: string, options?: CallOptions): Promise<Response> {
    return this.request("PATCH", path, options)
  }
  delete(path: string, options?: CallOptions): Promise<Response> {
    return this.request("DELETE", path, options)
  }

  async close(): Promise<void> {
    await this.#transport.close()
  }

  async request(method: string, path: string, options: CallOptions = {}): Promise<Response> {
    const begin = this.#clock.monotonic()
    const call = this.#prepare(method, path, options)
    const deadline = this.#deadline(options)
    const wire = await runAttempts<Wire>({
      strategy: this.#strategy(call),
      deadline,
      lowTimeoutMs: this.#lowTimeoutMs,
      signal: call.signal,
      clock: this.#clock,
      random: this.#random,
      attempt: (_index, share) => this.#attempt(call, share),
      discard: (rejected) => rejected.response.discard(),
    })
    return new Response(wire.response, { elapsedMs: this.#clock.monotonic() - begin, attempts: call.sent, endpoint: wire.address, deadline })
  }

  #prepare(method: string, path: string, options: CallOptions): Call {
    const headers: Record<string, string> = {}
    for (const source of [this.#options.headers, options.headers]) {
      for (const [name, value] of Object.entries(source ?? {})) headers[name.toLowerCase()] = value
    }
    if (options.json !== undefined) headers["content-type"] ??= "application/json"
    if (this.#options.serviceName !== undefined) headers["x-service-name"] = this.#options.serviceName
    if (this.#options.emitSystemHeaders !== false) {
      delete headers["x-request-timeout"]
      headers["x-request-priority"] = effectivePriority(options.priority, currentContext()?.priority, this.#options.priority ?? "normal")
    }
    const inherited = currentContext()?.signal
    const signals = [options.signal, inherited].filter((signal) => signal !== undefined)
    return {
      method,
      target: requestTarget(this.#base, path, options),
      headers,
      body: options.json === undefined ? (options.body ?? null) : JSON.stringify(options.json),
      options,
      signal: signals.length === 1 && signals[0] ? signals[0] : AbortSignal.any(signals),
      sent: 0,
      tried: new Set(),
    }
  }

  #deadline(options: CallOptions): Deadline {
    const own = options.deadline ?? Deadline.after(options.timeoutMs ?? this.#options.timeoutMs ?? 20_000, this.#clock)
    return Deadline.earliest(own, currentContext()?.deadline) ?? own
  }

  #strategy(call: Call): Strategy {
    const { options, method, headers } = call
    if (options.strategy) return strategyFor(options.strategy, method)
    const repeatable = options.idempotent === true || "idempotency-key" in headers
    return strategyFor(this.#options.strategy ?? usual, repeatable ? "GET" : method)
  }

  /** One attempt of the strategy: connections that cannot be made are tried elsewhere at once and count as none. */
  async #attempt(call: Call, deadline: Deadline): Promise<AttemptOutcome<Wire>> {
    const connections = this.#options.connectionAttempts ?? 3
    for (let connection = 1; ; connection++) {
      const picked = await this.#pick(call, deadline)
      if (picked === undefined) return { kind: "failed", error: this.#nobody(), final: call.tried.size === 0 }
      const outcome = await this.#send(call, deadline, picked)
      const refused = outcome.kind === "failed" && outcome.error.code === "connection_failed"
      if (!refused || connection >= connections || call.signal.aborted || deadline.remainingMs < this.#lowTimeoutMs) return outcome
    }
  }

  async #pick(call: Call, deadline: Deadline): Promise<Picked | undefined> {
    if (this.#pool.state === null) {
      const patience = new AbortController()
      const timer = this.#clock.timer(Math.min(deadline.remainingMs, firstSnapshotMs), () => patience.abort())
      await this.#pool.ready(AbortSignal.any([patience.signal, call.signal]))
      timer.cancel()
    }
    // When every instance was tried already, the one that may be better now is as good as any.
    return this.#pool.pick({ exclude: call.tried }) ?? (call.tried.size > 0 ? this.#pool.pick() : undefined)
  }

  async #send(call: Call, deadline: Deadline, picked: Picked): Promise<AttemptOutcome<Wire>> {
    const { endpoint } = picked
    const begin = this.#clock.monotonic()
    call.tried.add(endpoint.address)
    call.sent++
    try {
      const response = await this.#transport.send({
        endpoint,
        method: call.method,
        target: call.target,
        headers: this.#attemptHeaders(call, deadline),
        body: call.body,
        timeoutMs: deadline.remainingMs,
        connectTimeoutMs: this.#options.connectTimeoutMs ?? 1000,
        idleTimeoutMs: this.#options.idleTimeoutMs ?? 60_000,
        signal: call.signal,
      })
      const verdict = classify(response.status, response.headers, call.options.verdictForStatus ?? this.#options.verdictForStatus)
      const load = response.headers.get("x-meshwork-load")
      picked.done({
        result: verdict === "accept" ? "success" : "failure",
        latencyMs: this.#clock.monotonic() - begin,
        ...(load === null ? {} : { load }),
      })
      const wire = { response, address: endpoint.address }
      return verdict === "accept" ? { kind: "accepted", response: wire } : { kind: "rejected", response: wire, ...retryAfter(response) }
    } catch (thrown) {
      const error = MeshError.from(thrown)
      picked.done({ result: error.code === "aborted" ? "aborted" : "failure", refused: error.code === "connection_failed" })
      return { kind: "failed", error }
    }
  }

  #attemptHeaders(call: Call, deadline: Deadline): Record<string, string> {
    const headers: Record<string, string> = { ...call.headers, "x-request-attempt": String(call.sent) }
    if (this.#options.emitSystemHeaders !== false) headers["x-request-timeout"] = (deadline.remainingMs / 1000).toFixed(5)
    return headers
  }

  #nobody(): MeshError {
    const { service } = this.#pool
    if (this.#pool.state === null) return new MeshError("no_instances", `nothing is known of ${service}: no source has answered yet`)
    const candidates = this.#pool.candidates()
    if (candidates.length === 0) return new MeshError("no_instances", `${service} has no instances`)
    const usable = candidates.filter((candidate) => candidate.standing !== "out")
    if (usable.length > 0) return new MeshError("circuit_open", `the breakers of all ${usable.length} instances of ${service} refuse`)
    return new MeshError("no_instances", `none of the ${candidates.length} instances of ${service} serves: ${candidates[0]?.why ?? ""}`)
  }
}

function retryAfter(response: TransportResponse): { retryAfterMs?: number } {
  if (response.status !== 429 && response.status !== 503) return {}
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN)
  return seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {}
}
