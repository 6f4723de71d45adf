import { type Clock, MeshError, type Random } from "@meshwork/contract"
import type { RetryBudget } from "../budget/retry-budget.ts"
import type { Deadline } from "../deadline.ts"
import type { DelayCall } from "../delays/delay.ts"
import type { Picked, Pool } from "../pool/pool.ts"
import type { Strategy } from "../strategies/strategy.ts"
import { classify, type Verdict } from "./classify.ts"
import { type Hop, redirectOf } from "./redirect.ts"
import { retryAfterMs } from "./retry-after.ts"
import type { ClientObserver } from "./observer.ts"
import type { AttemptOutcome, CallPlan, RunObserver } from "./run-call.ts"
import type { Transport, TransportResponse } from "./transport.ts"

/** What the calls of a client share, settled once. */
export interface CallSettings {
  readonly pool: Pool
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly budget: RetryBudget | undefined
  readonly lowTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly connectionAttempts: number
  readonly idleTimeoutMs: number
  readonly emitSystemHeaders: boolean
  readonly observer: ClientObserver | undefined
  readonly runObserver: RunObserver | undefined
}

/** What one call asks for. */
export interface CallParts {
  readonly method: string
  /** Template, for what is learnt per path. */
  readonly path: string
  /** Path and query. */
  readonly target: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string | null
  readonly strategy: Strategy
  readonly deadline: Deadline
  readonly signal: AbortSignal | undefined
  readonly replayable: boolean
  readonly verdictForStatus: Readonly<Record<number, Verdict>> | undefined
  readonly maxRedirects: number
}

/** An answer and who gave it. */
export interface Answer {
  readonly response: TransportResponse
  readonly address: string
}

const firstSnapshotMs = 2000

/** One call under way: makes the attempts its strategy asks for. */
export class Call implements CallPlan<Answer>, DelayCall {
  readonly strategy: Strategy
  readonly deadline: Deadline
  readonly lowTimeoutMs: number
  readonly clock: Clock
  readonly signal: AbortSignal | undefined
  readonly budget: RetryBudget | undefined
  readonly service: string
  readonly method: string
  readonly path: string
  readonly random: Random
  /** Requests that went over the wire; a connection that could not be made sent none. */
  sent = 0
  readonly #settings: CallSettings
  readonly #parts: CallParts
  readonly #tried = new Set<string>()
  #refused = 0

  constructor(settings: CallSettings, parts: CallParts) {
    this.#settings = settings
    this.#parts = parts
    this.strategy = parts.strategy
    this.deadline = parts.deadline
    this.lowTimeoutMs = settings.lowTimeoutMs
    this.clock = settings.clock
    this.signal = parts.signal
    this.budget = settings.budget
    this.service = settings.pool.service
    this.method = parts.method
    this.path = parts.path
    this.random = settings.random
  }

  get observer(): RunObserver | undefined {
    return this.#settings.runObserver
  }

  get about(): DelayCall {
    return this
  }

  get now(): number {
    return this.clock.monotonic()
  }

  /** One attempt of the strategy: connections that cannot be made are tried elsewhere at once and are no attempts of their own. */
  async attempt(deadline: Deadline, signal: AbortSignal | undefined): Promise<AttemptOutcome<Answer>> {
    for (;;) {
      const picked = this.#settings.pool.state === null ? await this.#firstPick(deadline, signal) : this.#pick()
      if (picked === undefined) return { kind: "failed", error: this.#nobody(), final: this.#tried.size === 0 }
      const outcome = await this.#send(picked, deadline, signal)
      const refused = outcome.kind === "failed" && outcome.error.code === "connection_failed"
      if (!refused || ++this.#refused >= this.#settings.connectionAttempts) return outcome
      if (signal?.aborted || deadline.remainingMs < this.lowTimeoutMs) return outcome
    }
  }

  discard({ response }: Answer): void {
    response.discard()
  }

  async #firstPick(deadline: Deadline, signal: AbortSignal | undefined): Promise<Picked | undefined> {
    const patience = new AbortController()
    const timer = this.clock.timer(Math.min(deadline.remainingMs, firstSnapshotMs), () => patience.abort())
    await this.#settings.pool.ready(signal ? AbortSignal.any([patience.signal, signal]) : patience.signal)
    timer.cancel()
    return this.#pick()
  }

  #pick(): Picked | undefined {
    const { pool } = this.#settings
    if (this.#tried.size === 0) return pool.pick()
    // When every instance was tried already, the one that may be better now is as good as any.
    return pool.pick({ exclude: this.#tried }) ?? pool.pick()
  }

  async #send(picked: Picked, deadline: Deadline, signal: AbortSignal | undefined): Promise<AttemptOutcome<Answer>> {
    const { endpoint } = picked
    const { clock } = this
    const begin = clock.monotonic()
    this.#tried.add(endpoint.address)
    this.sent++
    const { method, target, body } = this.#parts
    const hop: Hop = { origin: endpoint.origin, method, target, headers: this.#headers(deadline), body }
    let response: TransportResponse
    try {
      response = await this.#request(hop, endpoint.gone, deadline, signal)
    } catch (thrown) {
      const error = MeshError.from(thrown)
      const refused = error.code === "connection_failed"
      if (refused) this.sent--
      if (error.code === "aborted" || error.code === "attempt_timeout") this.strategy.delay.learn?.(this, clock.monotonic() - begin, false)
      // What cannot be sent at all says nothing about the instance either.
      const innocent = error.code === "aborted" || error.code === "invalid_request"
      picked.done({ result: innocent ? "aborted" : "failure", refused })
      this.#observe(error.code, begin)
      return { kind: "failed", error }
    }
    const latencyMs = clock.monotonic() - begin
    const load = response.headers.get("x-meshwork-load")
    this.#observe(String(response.status), begin)
    const accepted = this.#accepts(response)
    const result = accepted ? "success" : "failure"
    picked.done(load === null ? { result, latencyMs } : { result, latencyMs, load })
    if (!accepted) return this.#rejected(response, endpoint.address)
    this.strategy.delay.learn?.(this, latencyMs, true)
    return this.#follow(hop, { response, address: endpoint.address }, picked, { deadline, signal })
  }

  #observe(status: string, begin: number): void {
    const { observer } = this.#settings
    if (observer?.attempt === undefined) return
    observer.attempt({ service: this.service, method: this.method, path: this.path, status, durationMs: this.clock.monotonic() - begin })
  }

  /** Goes where an accepted answer sends the call. */
  async #follow(
    start: Hop,
    first: Answer,
    picked: Picked,
    { deadline, signal }: { deadline: Deadline; signal: AbortSignal | undefined },
  ): Promise<AttemptOutcome<Answer>> {
    let hop = start
    let answer = first
    for (let followed = 0; this.#parts.maxRedirects > 0; followed++) {
      const { response } = answer
      const next = redirectOf(hop, response.status, response.headers.get("location"))
      if (next === undefined) break
      response.discard()
      if (followed === this.#parts.maxRedirects) {
        const error = new MeshError("too_many_redirects", `${this.service} redirected ${this.method} ${this.path} more than ${followed} times`)
        return { kind: "failed", error }
      }
      hop = this.#settings.emitSystemHeaders ? { ...next, headers: { ...next.headers, "x-request-timeout": seconds(deadline) } } : next
      const home = hop.origin === picked.endpoint.origin
      try {
        const gone = home ? picked.endpoint.gone : new AbortController().signal
        answer = { response: await this.#request(hop, gone, deadline, signal), address: home ? picked.endpoint.address : new URL(hop.origin).host }
      } catch (thrown) {
        const error = MeshError.from(thrown)
        // The service was reached and has answered: this is no connection to try elsewhere for free.
        const unreachable = error.code === "connection_failed"
        const message = `${this.service} redirects to ${hop.origin}, which cannot be reached`
        return { kind: "failed", error: unreachable ? new MeshError("upstream_reset", message, { cause: error }) : error }
      }
    }
    return this.#accepts(answer.response) ? { kind: "accepted", response: answer } : this.#rejected(answer.response, answer.address)
  }

  #request(hop: Hop, gone: AbortSignal, deadline: Deadline, signal: AbortSignal | undefined): Promise<TransportResponse> {
    const { transport, connectTimeoutMs, idleTimeoutMs } = this.#settings
    return transport.send({
      endpoint: { origin: hop.origin, gone },
      method: hop.method,
      target: hop.target,
      headers: hop.headers,
      body: hop.body,
      replayable: this.#parts.replayable,
      timeoutMs: deadline.remainingMs,
      connectTimeoutMs,
      idleTimeoutMs,
      signal,
    })
  }

  #accepts(response: TransportResponse): boolean {
    return classify(response.status, response.headers, this.#parts.verdictForStatus) === "accept"
  }

  #rejected(response: TransportResponse, address: string): AttemptOutcome<Answer> {
    return { kind: "rejected", response: { response, address }, retryAfterMs: retryAfterMs(response, this.clock.now()) }
  }

  #headers(deadline: Deadline): Record<string, string> {
    const headers: Record<string, string> = { ...this.#parts.headers, "x-request-attempt": String(this.sent) }
    if (this.#settings.emitSystemHeaders) headers["x-request-timeout"] = seconds(deadline)
    return headers
  }

  #nobody(): MeshError {
    const { pool } = this.#settings
    if (pool.state === null) return new MeshError("no_instances", `nothing is known of ${pool.service}: no source has answered yet`)
    const candidates = pool.candidates()
    if (candidates.length === 0) return new MeshError("no_instances", `${pool.service} has no instances`)
    const usable = candidates.filter((candidate) => candidate.standing !== "out")
    if (usable.length > 0) return new MeshError("circuit_open", `the breakers of all ${usable.length} instances of ${pool.service} refuse`)
    return new MeshError("no_instances", `none of the ${candidates.length} instances of ${pool.service} serves: ${candidates[0]?.why ?? ""}`)
  }
}

/** What is left, as it stands in `X-Request-Timeout`. */
function seconds(deadline: Deadline): string {
  return (deadline.remainingMs / 1000).toFixed(5)
}
