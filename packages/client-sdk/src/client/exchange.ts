import type { Readable } from "node:stream"
import { type Clock, MeshError, type Timer } from "@meshwork/contract"
import type { Dispatcher } from "undici"
import { ArrivingBody, type BodyFlow } from "./arriving-body.ts"
import type { TransportRequest, TransportResponse } from "./transport.ts"
import { ReceivedHeaders, type WireHeaders } from "./wire-headers.ts"

type Controller = Dispatcher.DispatchController

/** An unread rest up to this size is read away, so that the connection stays of use; a longer one costs the connection. */
const drainBytes = 64 * 1024
const drainMs = 1000
const noHeaders = new ReceivedHeaders([])

/** What puts an exchange on a connection. */
export interface ExchangeCarrier {
  dispatch(exchange: Exchange): void
  /** Whether an error comes from a kept-alive connection that was dead already. */
  wasStale(error: Error): boolean
}

/** One request and its answer, as undici tells of them. Time limits are kept here: undici's are coarser than a call may ask for. */
export class Exchange implements Dispatcher.DispatchHandler, TransportResponse, BodyFlow {
  readonly request: TransportRequest
  status = 0
  headers: WireHeaders = noHeaders
  readonly #clock: Clock
  readonly #carrier: ExchangeCarrier
  readonly #resolve: (response: TransportResponse) => void
  readonly #reject: (error: MeshError) => void
  readonly #startedAt: number
  readonly #arriving: ArrivingBody = new ArrivingBody(this)
  #phase: "connecting" | "waiting" | "body" | "draining" | "over" = "connecting"
  #controller: Controller | undefined
  #timer: Timer
  /** When the timer runs; the limit may have moved on since. */
  #timerAt: number
  #limitAt: number
  #seen = false
  #resent = false
  #received = 0

  constructor(
    request: TransportRequest,
    clock: Clock,
    carrier: ExchangeCarrier,
    settle: { resolve: (response: TransportResponse) => void; reject: (error: MeshError) => void },
  ) {
    this.request = request
    this.#clock = clock
    this.#carrier = carrier
    this.#resolve = settle.resolve
    this.#reject = settle.reject
    this.#startedAt = clock.monotonic()
    const firstMs = Math.min(request.connectTimeoutMs, request.timeoutMs)
    this.#limitAt = this.#startedAt + firstMs
    this.#timerAt = this.#limitAt
    this.#timer = clock.timer(firstMs, this.#onTimer)
    request.signal?.addEventListener("abort", this.#onAbort, { once: true })
  }

  get complete(): boolean {
    return this.#arriving.complete
  }

  get body(): Readable {
    return this.#arriving.stream
  }

  bytes(): Promise<Buffer> {
    return this.#arriving.bytes()
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller
    // Given up while it waited for a connection: the server never sees it.
    if (this.#phase === "over") return controller.abort(new Error("given up"))
    this.#phase = "waiting"
    this.#limit(this.#startedAt + this.request.timeoutMs)
  }

  onResponseStarted(): void {
    this.#seen = true
  }

  onResponseStart(controller: Controller, status: number): void {
    if (status < 200 || this.#phase === "over") return
    this.#phase = "body"
    this.#limit(this.#clock.monotonic() + this.request.idleTimeoutMs)
    this.status = status
    if (Array.isArray(controller.rawHeaders)) this.headers = new ReceivedHeaders(controller.rawHeaders)
    this.#resolve(this)
  }

  onResponseData(_controller: Controller, chunk: Buffer): void {
    this.#received += chunk.length
    if (this.#phase !== "body") return
    this.#limit(this.#clock.monotonic() + this.request.idleTimeoutMs)
    this.#arriving.push(chunk)
  }

  onResponseEnd(): void {
    const unread = this.#phase === "draining"
    this.#finish()
    if (!unread) this.#arriving.end()
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    if (this.#phase === "over") return
    const { origin } = this.request.endpoint
    const code = (error as { code?: string }).code ?? error.message
    if (this.#controller === undefined) {
      const unsendable = code === "UND_ERR_INVALID_ARG" || code === "UND_ERR_NOT_SUPPORTED"
      const [kind, what] = unsendable
        ? (["invalid_request", `${this.#where} cannot be sent: ${error.message}`] as const)
        : (["connection_failed", `no connection to ${origin}: ${code}`] as const)
      return this.#fail(new MeshError(kind, what, { cause: error }))
    }
    if (code === "UND_ERR_DESTROYED") return this.#fail(new MeshError("aborted", "the client was closed", { cause: error }))
    if (!this.#seen && !this.#resent && this.request.replayable && this.#carrier.wasStale(error)) return this.#sendAgain()
    const when = this.#phase === "waiting" ? (this.#seen ? "in the head of its answer" : "before it answered") : "in the middle of its answer"
    this.#fail(new MeshError("upstream_reset", `${this.#where} closed the connection ${when}: ${code}`, { cause: error }))
  }

  pause(): void {
    if (this.#phase === "body") this.#controller?.pause()
  }

  resume(): void {
    if (this.#phase === "body") this.#controller?.resume()
  }

  discard(): void {
    if (this.#phase !== "body") return
    const rest = Number(this.headers.get("content-length") ?? Number.NaN) - this.#received
    if (rest <= drainBytes) {
      this.#phase = "draining"
      this.#limit(this.#clock.monotonic() + drainMs)
      this.#controller?.resume()
    } else this.#stop()
    this.#arriving.fail(new MeshError("aborted", "the answer was given up unread"))
  }

  get #where(): string {
    return `${this.request.method} ${this.request.endpoint.origin}`
  }

  #sendAgain(): void {
    this.#resent = true
    this.#controller = undefined
    this.#phase = "connecting"
    this.#limit(Math.min(this.#clock.monotonic() + this.request.connectTimeoutMs, this.#startedAt + this.request.timeoutMs))
    this.#carrier.dispatch(this)
  }

  readonly #onAbort = (): void => this.#fail(new MeshError("aborted", "the caller gave up", { cause: this.request.signal?.reason }))

  /** Moves the limit. The timer follows when it runs, so that progress costs nothing; only an earlier limit needs a new one. */
  #limit(at: number): void {
    this.#limitAt = at
    if (at >= this.#timerAt) return
    this.#timer.cancel()
    this.#arm()
  }

  #arm(): void {
    this.#timerAt = this.#limitAt
    this.#timer = this.#clock.timer(this.#limitAt - this.#clock.monotonic(), this.#onTimer)
  }

  readonly #onTimer = (): void => {
    const now = this.#clock.monotonic()
    // A body that waits for its reader is not idle.
    if (this.#phase === "body" && this.#arriving.waiting) this.#limitAt = now + this.request.idleTimeoutMs
    // The timers of Node are up to a millisecond early.
    if (now < this.#limitAt - 1) return this.#arm()
    this.#fail(this.#late())
  }

  #late(): MeshError {
    const { timeoutMs, connectTimeoutMs, idleTimeoutMs, endpoint } = this.request
    if (this.#phase === "body")
      return new MeshError("upstream_reset", `${this.#where} sent nothing for ${idleTimeoutMs} ms in the middle of its answer`)
    if (this.#phase === "connecting" && connectTimeoutMs <= timeoutMs)
      return new MeshError("connection_failed", `no connection to ${endpoint.origin} within ${Math.round(connectTimeoutMs)} ms`)
    return new MeshError("attempt_timeout", `${this.#where} did not answer within ${Math.round(timeoutMs)} ms`)
  }

  #fail(error: MeshError): void {
    if (this.#phase === "over") return
    const begun = this.#phase === "body"
    this.#stop()
    if (begun) this.#arriving.fail(error)
    else this.#reject(error)
  }

  #stop(): void {
    this.#finish()
    this.#controller?.abort(new Error("given up"))
  }

  #finish(): void {
    this.#phase = "over"
    this.#timer.cancel()
    this.request.signal?.removeEventListener("abort", this.#onAbort)
  }
}
