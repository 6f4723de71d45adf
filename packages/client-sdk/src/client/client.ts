import { type Clock, MeshError, systemClock, systemRandom } from "@meshwork/contract"
import { retryBudget } from "../budget/retry-budget.ts"
import { currentContext } from "../context.ts"
import { Deadline } from "../deadline.ts"
import type { Pool } from "../pool/pool.ts"
import { effectivePriority } from "../priority.ts"
import { byMethod, sequential, single, type Strategy, strategyFor } from "../strategies/strategy.ts"
import { type Answer, Call, type CallParts, type CallSettings } from "./call.ts"
import type { CallOptions, ClientOptions } from "./client-options.ts"
import type { ClientObserver } from "./observer.ts"
import { requestTarget } from "./request-target.ts"
import { Response } from "./response.ts"
import { runCall, type RunObserver } from "./run-call.ts"
import type { Transport } from "./transport.ts"
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
  /** Stops following the service and ends the connections of its own. Idempotent. */
  close(): Promise<void>
}

const thrice = sequential({ attempts: 3 })
const usual = byMethod({ GET: thrice, HEAD: thrice, OPTIONS: thrice, default: single() })
/** Methods that may be repeated where nothing is known of the first try (RFC 9110, 9.2.2). */
const idempotentMethods = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])

/** A client over a pool of endpoints, which it closes with itself. `basePath` is what relative paths are joined to. */
export function createClientForPool(options: ClientOptions & { pool: Pool; basePath?: string }): Client {
  return new PoolClient(options)
}

class PoolClient implements Client {
  readonly #options: ClientOptions
  readonly #base: string
  readonly #clock: Clock
  readonly #own: Transport | undefined
  readonly #settings: CallSettings
  readonly #headers: Readonly<Record<string, string>>

  constructor(options: ClientOptions & { pool: Pool; basePath?: string }) {
    const { pool, clock = systemClock, emitSystemHeaders = true } = options
    this.#options = options
    this.#base = new URL(options.basePath ?? "/", "http://service").href
    this.#clock = clock
    this.#own = options.transport ? undefined : createUndiciTransport(clock)
    this.#settings = {
      pool,
      transport: options.transport ?? (this.#own as Transport),
      clock,
      random: options.random ?? systemRandom,
      budget: options.retryBudget === false ? undefined : (options.retryBudget ?? retryBudget()),
      lowTimeoutMs: options.lowTimeoutMs ?? 5,
      connectTimeoutMs: options.connectTimeoutMs ?? 1000,
      connectionAttempts: options.connectionAttempts ?? 3,
      idleTimeoutMs: options.idleTimeoutMs ?? 60_000,
      emitSystemHeaders,
      observer: options.observer,
      runObserver: options.observer && runObserver(options.observer, pool.service),
    }
    const headers = lowerCased({}, options.headers)
    if (options.serviceName !== undefined) headers["x-service-name"] = options.serviceName
    this.#headers = headers
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
    await this.#own?.close()
    await this.#settings.pool.close()
  }

  async request(method: string, path: string, options: CallOptions = {}): Promise<Response> {
    const begin = this.#clock.monotonic()
    const call = new Call(this.#settings, this.#parts(method, path, options))
    const { response, address } = await (this.#settings.observer?.call === undefined ? runCall(call) : this.#observed(call, begin))
    return new Response(response, { elapsedMs: this.#clock.monotonic() - begin, attempts: call.sent, endpoint: address, deadline: call.deadline })
  }

  async #observed(call: Call, begin: number): Promise<Answer> {
    const { observer, pool } = this.#settings
    const tell = (status: string, breaker: boolean): void => {
      const { method, path } = call
      observer?.call?.({ service: pool.service, method, path, status, durationMs: this.#clock.monotonic() - begin, breaker })
    }
    try {
      const answer = await runCall(call)
      tell(String(answer.response.status), answer.response.headers.get("x-circuit-breaker") !== null)
      return answer
    } catch (error) {
      const { code } = MeshError.from(error)
      tell(code, code === "circuit_open")
      throw error
    }
  }

  #parts(method: string, path: string, options: CallOptions): CallParts {
    const context = currentContext()
    const headers = lowerCased({ ...this.#headers }, options.headers)
    if (options.json !== undefined) headers["content-type"] ??= "application/json"
    if (this.#settings.emitSystemHeaders) {
      headers["x-request-priority"] = effectivePriority(options.priority, context?.priority, this.#options.priority ?? "normal")
    }
    const repeatable = options.idempotent === true || "idempotency-key" in headers
    return {
      method,
      path,
      target: requestTarget(this.#base, path, options),
      headers,
      body: options.json === undefined ? (options.body ?? null) : JSON.stringify(options.json),
      strategy: this.#strategy(method, repeatable, options),
      deadline: this.#deadline(options, context?.deadline),
      signal: options.signal && context?.signal ? AbortSignal.any([options.signal, context.signal]) : (options.signal ?? context?.signal),
      replayable: repeatable || idempotentMethods.has(method),
      verdictForStatus: options.verdictForStatus ?? this.#options.verdictForStatus,
      maxRedirects: options.maxRedirects ?? this.#options.maxRedirects ?? 10,
    }
  }

  #deadline({ deadline, timeoutMs }: CallOptions, inherited: Deadline | undefined): Deadline {
    const limitMs = timeoutMs ?? (deadline ? undefined : (this.#options.timeoutMs ?? 20_000))
    const own = limitMs === undefined ? undefined : Deadline.after(limitMs, this.#clock)
    if (own && !deadline && !inherited) return own
    return Deadline.earliest(own, deadline, inherited) as Deadline
  }

  #strategy(method: string, repeatable: boolean, options: CallOptions): Strategy {
    if (options.strategy) return strategyFor(options.strategy, method)
    return strategyFor(this.#options.strategy ?? usual, repeatable ? "GET" : method)
  }
}

function runObserver(observer: ClientObserver, service: string): RunObserver {
  return {
    retry: () => observer.retry?.(service),
    hedge: (won) => observer.hedge?.(service, won),
    budgetExhausted: () => observer.budgetExhausted?.(service),
  }
}

function lowerCased(into: Record<string, string>, headers: Readonly<Record<string, string>> | undefined): Record<string, string> {
  for (const name in headers) if (Object.hasOwn(headers, name)) into[name.toLowerCase()] = headers[name] as string
  return into
}
