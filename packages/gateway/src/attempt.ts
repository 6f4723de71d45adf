import type { Duplex } from "node:stream"
import type { Picked } from "@meshwork/client-sdk/pool"
import type { Dispatcher } from "undici"

type Controller = Dispatcher.DispatchController

/** How an attempt without an answer ended: before anything was sent, before a byte of an answer was seen, or later. */
export type Loss = "never-sent" | "unseen" | "broken"

/** What an attempt tells the exchange it belongs to. */
export interface AttemptListener {
  sent(attempt: Attempt): void
  informed(status: number, headers: readonly Buffer[]): void
  answered(attempt: Attempt, status: number, message: string, headers: readonly Buffer[]): void
  data(attempt: Attempt, chunk: Buffer): boolean
  ended(attempt: Attempt, trailers: Readonly<Record<string, string | string[] | undefined>>): void
  upgraded(attempt: Attempt, headers: readonly Buffer[], socket: Duplex): void
  lost(attempt: Attempt, how: Loss, error: Error): void
}

/** One request on the wire to one instance. A class, because undici calls many methods of many of these. */
export class Attempt implements Dispatcher.DispatchHandler {
  readonly picked: Picked
  readonly number: number
  /** Time to response headers, ms. */
  latencyMs: number | undefined
  /** `X-Meshwork-Load` of the answer. */
  load: string | undefined
  readonly #listener: AttemptListener
  #controller: Controller | undefined
  #seen = false
  #over = false

  constructor(listener: AttemptListener, picked: Picked, number: number) {
    this.#listener = listener
    this.picked = picked
    this.number = number
  }

  /** Ends it without telling the exchange. What still waits for a connection is never sent. */
  abort(reason: Error): void {
    if (this.#over) return
    this.#over = true
    this.#controller?.abort(reason)
  }

  resume(): void {
    this.#controller?.resume()
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller
    if (this.#over) controller.abort(new Error("given up while waiting for a connection"))
    else this.#listener.sent(this)
  }

  onResponseStarted(): void {
    this.#seen = true
  }

  onResponseStart(controller: Controller, status: number, _headers: unknown, message?: string): void {
    if (this.#over) return
    const raw = Array.isArray(controller.rawHeaders) ? (controller.rawHeaders as Buffer[]) : []
    if (status < 200) this.#listener.informed(status, raw)
    else this.#listener.answered(this, status, message ?? "", raw)
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (!this.#over && !this.#listener.data(this, chunk)) controller.pause()
  }

  onResponseEnd(_controller: Controller, trailers: Record<string, string | string[] | undefined>): void {
    if (this.#over) return
    this.#over = true
    this.#listener.ended(this, trailers)
  }

  onRequestUpgrade(controller: Controller, _status: number, _headers: unknown, socket: Duplex): void {
    if (this.#over) {
      socket.destroy()
      return
    }
    this.#over = true
    const raw = Array.isArray(controller.rawHeaders) ? (controller.rawHeaders as Buffer[]) : []
    this.#listener.upgraded(this, raw, socket)
  }

  onResponseError(controller: Controller | undefined, error: Error): void {
    if (this.#over) return
    this.#over = true
    // Without a controller there never was a connection to write to.
    this.#listener.lost(this, controller === undefined || this.#controller === undefined ? "never-sent" : this.#seen ? "broken" : "unseen", error)
  }
}
