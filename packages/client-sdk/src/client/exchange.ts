import { Readable } from "node:stream"
import { type Clock, MeshError, type Timer } from "@meshwork/contract"
import type { Dispatcher } from "undici"
import type { TransportRequest, TransportResponse } from "./transport.ts"

type Controller = Dispatcher.DispatchController

/** One request and its answer, as undici tells of them. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #request: TransportRequest
  readonly #clock: Clock
  readonly #resolve: (response: TransportResponse) => void
  readonly #reject: (error: MeshError) => void
  readonly #onAbort = (): void => this.#fail(new MeshError("aborted", "the caller gave up", { cause: this.#request.signal.reason }))
  readonly #started: number
  #controller: Controller | undefined
  #body: Readable | undefined
  #timer: Timer
  #seen = false
  #over = false

  constructor(request: TransportRequest, clock: Clock, resolve: (response: TransportResponse) => void, reject: (error: MeshError) => void) {
    this.#request = request
    this.#clock = clock
    this.#resolve = resolve
    this.#reject = reject
    const connectMs = Math.min(request.connectTimeoutMs, request.timeoutMs)
    const code = request.connectTimeoutMs <= request.timeoutMs ? "connection_failed" : "attempt_timeout"
    this.#timer = clock.timer(connectMs, () =>
      this.#fail(new MeshError(code, `no connection to ${request.endpoint.origin} within ${Math.round(connectMs)} ms`)),
    )
    this.#started = clock.monotonic()
    if (request.signal.aborted) queueMicrotask(this.#onAbort)
    else request.signal.addEventListener("abort", this.#onAbort, { once: true })
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller
    // Given up while it waited for a connection: the server never sees it.
    if (this.#over) return controller.abort(new Error("given up"))
    const left = this.#request.timeoutMs - (this.#clock.monotonic() - this.#started)
    this.#limit(left, () => new MeshError("attempt_timeout", `${this.#where} did not answer within ${Math.round(this.#request.timeoutMs)} ms`))
  }

  onResponseStarted(): void {
    this.#seen = true
  }

  onResponseStart(controller: Controller, status: number): void {
    if (status < 200 || this.#over) return
    const body = new Readable({ read: () => controller.resume(), highWaterMark: 256 * 1024 })
    body.on("error", () => {})
    body.on("close", () => this.#discard())
    this.#body = body
    this.#watchIdle()
    this.#resolve({ status, headers: readHeaders(controller.rawHeaders), body, discard: () => this.#discard() })
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#over) return
    this.#watchIdle()
    if (this.#body?.push(chunk) === false) controller.pause()
  }

  onResponseEnd(): void {
    this.#finish()
    this.#body?.push(null)
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    const { origin } = this.#request.endpoint
    const reason = (error as { code?: string }).code ?? error.message
    if (this.#controller === undefined) this.#fail(new MeshError("connection_failed", `no connection to ${origin}: ${reason}`, { cause: error }))
    else {
      const when = this.#body ? "in the middle of its answer" : this.#seen ? "in the head of its answer" : "before it answered"
      this.#fail(new MeshError("upstream_reset", `${this.#where} closed the connection ${when}: ${reason}`, { cause: error }))
    }
  }

  get #where(): string {
    return `${this.#request.method} ${this.#request.endpoint.origin}`
  }

  #watchIdle(): void {
    const { idleTimeoutMs } = this.#request
    this.#limit(
      idleTimeoutMs,
      () => new MeshError("upstream_reset", `${this.#where} sent nothing for ${idleTimeoutMs} ms in the middle of its answer`),
    )
  }

  #limit(ms: number, error: () => MeshError): void {
    this.#timer.cancel()
    this.#timer = this.#clock.timer(ms, () => {
      // A body that waits for its reader is not idle.
      if (this.#body && this.#body.readableLength > 0) this.#watchIdle()
      else this.#fail(error())
    })
  }

  #discard(): void {
    if (this.#over) return
    this.#finish()
    this.#controller?.abort(new Error("not read"))
    this.#body?.destroy()
  }

  #fail(error: MeshError): void {
    if (this.#over) return
    this.#finish()
    this.#controller?.abort(error)
    if (this.#body) this.#body.destroy(error)
    else this.#reject(error)
  }

  #finish(): void {
    this.#over = true
    this.#timer.cancel()
    this.#request.signal.removeEventListener("abort", this.#onAbort)
  }
}

function readHeaders(raw: Controller["rawHeaders"]): Headers {
  const headers = new Headers()
  if (!Array.isArray(raw)) return headers
  for (let index = 0; index + 1 < raw.length; index += 2) headers.append(text(raw[index]), text(raw[index + 1]))
  return headers
}

function text(value: Buffer | string | undefined): string {
  return typeof value === "string" ? value : (value?.toString("latin1") ?? "")
}
