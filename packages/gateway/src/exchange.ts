import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { MeshError } from "@meshwork/contract"
import { accessEntry } from "./access-log.ts"
import { maxWhole, reasonPhrase, writeInformational, writeWhole } from "./answer-bytes.ts"
import { Attempt, type AttemptListener, type Loss } from "./attempt.ts"
import { certificateFault } from "./backends.ts"
import type { ExchangeParts, RoutedRequest } from "./exchange-parts.ts"
import { answerHead, answerTrailers } from "./headers.ts"
import { LazyTimer } from "./lazy-timer.ts"
import { takeBody } from "./request-body.ts"
import { sendError } from "./replies.ts"
import { serverTiming } from "./server-timing.ts"
import { idleLooks, Traffic } from "./traffic.ts"
import { joinUpgraded } from "./upgrade.ts"

const idempotent = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
const lowTimeoutMs = 5
/** What an exchange waits for at a time: a connection, the end of its time, a byte. */
type Limit = "connect" | "late" | "idle"

const ignore = (): void => {}

/** One request of a caller and the attempts made for it, from route to answer. */
export class Exchange implements AttemptListener {
  readonly #parts: ExchangeParts
  readonly #routed: RoutedRequest
  readonly #begin: number
  readonly #limitMs: number
  #attempt: Attempt | undefined
  #attempts = 0
  /** Address of the latest attempt, and when it was made, in ms since the beginning. */
  #instance: string | undefined
  #sentAt = 0
  #tried: Set<string> | undefined
  #body: Buffer | IncomingMessage | null = null
  /** Whether the body, if any, is there or can be streamed. */
  #prepared: boolean
  readonly #timer: LazyTimer<Limit>
  /** Resumes the attempt; there once the caller has not kept up. */
  #onDrain: (() => void) | undefined
  /** `Content-Length` of the answer; -1 without one. */
  #length = -1
  readonly #traffic: Traffic
  #over = false

  constructor(parts: ExchangeParts, routed: RoutedRequest) {
    this.#parts = parts
    this.#routed = routed
    this.#prepared = !routed.admitted.hasBody
    this.#begin = parts.clock.monotonic()
    this.#limitMs = Math.min(routed.route.timeoutMs, routed.head.timeoutMs ?? Number.POSITIVE_INFINITY)
    this.#timer = new LazyTimer(parts.clock, (limit) => this.#reached(limit))
    this.#traffic = new Traffic(routed.request.socket)
  }

  /** Makes the first attempt. Never rejects: every end is an answer or a cut connection. */
  async run(): Promise<void> {
    const { response, pool, head, budget } = this.#routed
    // A repeat by the caller is a repeat: both sides together stay within one budget.
    if (head.attempt === 1) budget.earn(this.#begin)
    else budget.charge(1, this.#begin)
    response.on("close", () => this.#callerGone())
    response.on("error", ignore)
    if (head.timeoutMs !== undefined && head.timeoutMs <= lowTimeoutMs) return this.#late()
    if (pool.state === null || !this.#prepared) this.#timer.set(this.#limitMs, "late")
    if (pool.state === null) await this.#firstSnapshot()
    await this.#next()
  }

  sent(attempt: Attempt): void {
    if (attempt === this.#attempt) this.#timer.set(this.#left, "late")
  }

  informed(status: number, headers: readonly Buffer[]): void {
    const { request, response } = this.#routed
    if (response.headersSent || request.httpVersion === "1.0") return
    // 100 is between the backend and us: the caller was told to go on long before.
    if (status === 100) return
    // A caller that does not read must not make hints pile up here: nobody waits for one.
    if (response.socket?.writableNeedDrain === true) return
    writeInformational(response, status, answerHead(headers, { trailers: false, length: false }).headers)
  }

  answered(attempt: Attempt, status: number, message: string, headers: readonly Buffer[]): void {
    const { request, response } = this.#routed
    const bodyless = request.method === "HEAD" || status === 204 || status === 304
    const {
      headers: flat,
      load,
      coded,
      length,
    } = answerHead(headers, { trailers: !bodyless && request.httpVersion === "1.1", length: status !== 204 })
    if (coded) {
      const error = new Error("the answer has a Transfer-Encoding that was not asked for")
      attempt.abort(error)
      return this.lost(attempt, "broken", error)
    }
    // An answer before the end of the upload: what is left of it would be read as the next request.
    if (this.#parts.closing() || (this.#routed.admitted.hasBody && !request.complete)) response.shouldKeepAlive = false
    attempt.latencyMs = this.#elapsed
    attempt.load = load
    this.#watchIdle()
    this.#length = length
    if (this.#parts.serverTiming) flat.push("server-timing", this.#serverTiming())
    response.writeHead(status, reasonPhrase(message), flat)
  }

  data(_attempt: Attempt, chunk: Buffer): boolean {
    const { response } = this.#routed
    const whole = chunk.length === this.#length && chunk.length <= maxWhole
    if (whole ? writeWhole(response, chunk) : response.write(chunk)) return true
    if (this.#onDrain === undefined) response.on("drain", (this.#onDrain = () => this.#attempt?.resume()))
    return false
  }

  ended(attempt: Attempt, trailers: Readonly<Record<string, string | string[] | undefined>>): void {
    const { response } = this.#routed
    const pairs = answerTrailers(trailers)
    if (pairs.length > 0) response.addTrailers(pairs)
    response.end()
    this.#done(attempt, response.statusCode)
  }

  upgraded(attempt: Attempt, headers: readonly Buffer[], socket: Duplex): void {
    const { upgrade, response } = this.#routed
    this.#timer.cancel()
    attempt.latencyMs = this.#elapsed
    if (upgrade === undefined) {
      socket.destroy()
      return this.#fail(new MeshError("upstream_reset", "the backend switched protocols without being asked"))
    }
    this.#over = true
    response.detachSocket(upgrade.socket as never)
    joinUpgraded(upgrade, socket, headers, () => attempt.picked.done({ result: "success", latencyMs: attempt.latencyMs ?? 0 }))
    this.#report(101)
  }

  lost(attempt: Attempt, how: Loss, error: Error): void {
    if (this.#over) return
    // A connection that could not be made sent nothing and is free to repeat: a second without it is enough, no breaker need open for longer.
    attempt.picked.done(how === "never-sent" ? { result: "aborted", refused: true } : { result: "failure" })
    this.#attempt = undefined
    ;(this.#tried ??= new Set()).add(attempt.picked.endpoint.address)
    if (this.#mayRepeat(how)) {
      this.#timer.set(this.#left, "late")
      void this.#next({ how, error })
      return
    }
    if (how !== "broken" || !this.#routed.response.headersSent) return this.#unreachable(how, error)
    // Half an answer must never look like a whole one.
    this.#finish(502)
    this.#routed.response.destroy()
  }

  async #firstSnapshot(): Promise<void> {
    const patience = new AbortController()
    const timer = this.#parts.clock.timer(Math.min(this.#parts.firstSnapshotMs, this.#left), () => patience.abort())
    await this.#routed.pool.ready(patience.signal)
    timer.cancel()
  }

  async #next(lost?: { how: Loss; error: Error }): Promise<void> {
    // The caller of a small body takes its time while no instance waits for it; who expects 100 Continue sends nothing before one is found.
    if (!this.#prepared && !this.#routed.expectsContinue && !(await this.#bodyReady())) return
    if (this.#over) return
    const { pool, route } = this.#routed
    const picked = this.#tried === undefined ? pool.pick() : pool.pick({ exclude: this.#tried })
    if (picked === undefined) {
      if (lost !== undefined) return this.#unreachable(lost.how, lost.error)
      const refusing = pool.candidates().filter(({ breaker }) => breaker === "open" || breaker === "half-open").length
      const detail = refusing > 0 ? "Connection down for the backend" : "Backend available but no Service URLs discovered"
      const why = refusing > 0 ? { why: `the breakers of ${refusing} instances refuse` } : {}
      return this.#fail(new MeshError("no_instances", detail, { members: { service: route.service, ...why } }))
    }
    if (!this.#prepared && !(await this.#bodyReady())) return picked.done({ result: "aborted" })
    this.#send(new Attempt(this, picked, ++this.#attempts))
  }

  /** Whether the exchange goes on with a body that is there, or can be streamed. */
  async #bodyReady(): Promise<boolean> {
    try {
      const { request, response, expectsContinue, admitted, route } = this.#routed
      if (expectsContinue) response.writeContinue()
      const malformed = (asked: IncomingMessage): boolean => this.#parts.malformed(asked)
      this.#body = await takeBody(request, { length: admitted.bodyLength, limit: route.retryBodyLimit, malformed })
    } catch (error) {
      this.#fail(new MeshError("aborted", "the request body did not arrive", { cause: error }))
    }
    this.#prepared = true
    return !this.#over
  }

  #send(attempt: Attempt): void {
    const { request, admitted, head, route, upgrade } = this.#routed
    const { backends, connectTimeoutMs } = this.#parts
    this.#attempt = attempt
    this.#instance = attempt.picked.endpoint.address
    const left = this.#left
    this.#sentAt = this.#limitMs - left
    this.#timer.set(Math.min(connectTimeoutMs, left), left <= connectTimeoutMs ? "late" : "connect")
    const path = route.stripPrefix ? stripped(admitted.target, route.path) : admitted.target
    const headers = head.headers.concat("x-request-timeout", (left / 1000).toFixed(5), "x-request-attempt", String(head.attempt + attempt.number - 1))
    const options = {
      path,
      method: request.method as "GET",
      headers,
      body: this.#body,
      ...(upgrade ? { upgrade: upgrade.protocol } : {}),
      ...(head.bindsConnection ? { reset: true } : {}),
    }
    try {
      backends.dispatch(attempt.picked.endpoint, options, attempt)
    } catch (error) {
      attempt.onResponseError(undefined, error as Error)
    }
  }

  #mayRepeat(how: Loss): boolean {
    const { request, head, route } = this.#routed
    if (this.#routed.response.headersSent || this.#left < lowTimeoutMs) return false
    // A stream that nobody has read from can be sent elsewhere; one that was begun cannot.
    const streaming = this.#body === request
    if (how === "never-sent") return !streaming || !request.readableDidRead
    const repeatable = idempotent.has(request.method ?? "") || head.idempotencyKey
    const allowed = repeatable && !streaming && head.attempt === 1 && this.#attempts < route.attempts
    return allowed && this.#routed.budget.spend(1, this.#parts.clock.monotonic())
  }

  #reached(limit: Limit): void {
    if (limit === "late") this.#late()
    else if (limit === "idle") this.#watchIdle()
    else if (this.#attempt !== undefined) this.#noConnection(this.#attempt)
  }

  #noConnection(attempt: Attempt): void {
    const error = new Error(`no connection within ${this.#parts.connectTimeoutMs} ms`)
    attempt.abort(error)
    this.lost(attempt, "never-sent", error)
  }

  #unreachable(how: Loss, cause: Error): void {
    const { service, unreachableStatus } = this.#routed.route
    const code = how === "never-sent" ? "connection_failed" : "upstream_reset"
    const why = certificateFault(cause)
    const members = { service, attempts: this.#attempts, ...(why === undefined ? {} : { why }) }
    this.#fail(new MeshError(code, "Connection down for the backend", { cause, members }), unreachableStatus)
  }

  #late(): void {
    const { head, route, response } = this.#routed
    if (this.#over) return
    if (response.headersSent) {
      this.#finish(504)
      response.destroy()
      return
    }
    const asked = head.timeoutMs !== undefined && head.timeoutMs <= route.timeoutMs
    const seconds = `${(this.#limitMs / 1000).toFixed(3)} s`
    if ((!this.#prepared && this.#routed.pool.state !== null) || this.#stalled)
      return this.#fail(new MeshError("deadline_exceeded", `the request body did not arrive within ${seconds}`))
    this.#fail(
      asked
        ? new MeshError("deadline_exceeded", `no answer within the ${seconds} the caller had left`)
        : new MeshError("attempt_timeout", `no answer from ${route.service} within ${seconds}`),
    )
  }

  #fail(error: MeshError, status = error.status): void {
    const { request, response } = this.#routed
    if (this.#over) return
    this.#finish(status)
    if (this.#parts.serverTiming && !response.headersSent) response.setHeader("server-timing", this.#serverTiming())
    if (error.code === "aborted") response.destroy()
    else sendError(response, error, { status, accept: request.headers.accept, close: this.#routed.admitted.hasBody && !request.complete })
  }

  #callerGone(): void {
    if (this.#onDrain !== undefined) this.#routed.response.off("drain", this.#onDrain)
    if (this.#over || this.#routed.response.writableFinished) return
    this.#finish(499)
  }

  /** Looks now and then whether anything still passes, so that the bytes themselves cost nothing. */
  #watchIdle(): void {
    const { idleTimeoutMs } = this.#routed.route
    if (idleTimeoutMs === 0) return this.#timer.cancel()
    if (this.#traffic.quietMs(this.#parts.clock.monotonic()) >= idleTimeoutMs) return this.#late()
    this.#timer.set(idleTimeoutMs / idleLooks, "idle")
  }

  /** Ends the exchange from this side: what is under way upstream is aborted. */
  #finish(status: number): void {
    this.#over = true
    this.#timer.cancel()
    const attempt = this.#attempt
    if (attempt) {
      attempt.abort(new Error("the exchange is over"))
      attempt.picked.done({ result: this.#callersFault(status) ? "aborted" : "failure" })
    }
    this.#report(status)
  }

  /** Whether an exchange ended for want of something of the caller's: time, bytes of its body, reading. No backend answers for that. */
  #callersFault(status: number): boolean {
    const { response } = this.#routed
    if (status === 499 || status === 408 || response.writableNeedDrain) return true
    return this.#stalled
  }

  /** Whether it is the caller that does not send: what has arrived of its body was handed on. */
  get #stalled(): boolean {
    const { request, admitted } = this.#routed
    return admitted.hasBody && !request.complete && request.readableLength === 0
  }

  #done(attempt: Attempt, status: number): void {
    this.#over = true
    this.#timer.cancel()
    const latencyMs = attempt.latencyMs ?? this.#elapsed
    const result = status >= 500 ? "failure" : "success"
    attempt.picked.done(attempt.load === undefined ? { result, latencyMs } : { result, latencyMs, load: attempt.load })
    this.#report(status)
  }

  #report(status: number): void {
    const { route, request, client } = this.#routed
    const ms = this.#elapsed
    this.#parts.finished(route, status, ms)
    this.#parts.access?.(accessEntry(request, { status, ms, client, route, instance: this.#instance, attempts: this.#attempts }))
  }

  #serverTiming(): string {
    return serverTiming({ ms: this.#elapsed, sentAt: this.#instance === undefined ? undefined : this.#sentAt, attempts: this.#attempts })
  }

  get #elapsed(): number {
    return this.#parts.clock.monotonic() - this.#begin
  }

  get #left(): number {
    return Math.max(0, this.#limitMs - this.#elapsed)
  }
}

function stripped(target: string, prefix: string): string {
  const rest = target.slice(prefix.endsWith("/") ? prefix.length - 1 : prefix.length)
  return rest.startsWith("/") ? rest : `/${rest}`
}
