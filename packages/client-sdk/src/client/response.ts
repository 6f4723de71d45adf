import type { Readable } from "node:stream"
import { MeshError } from "@meshwork/contract"
import type { Deadline } from "../deadline.ts"
import type { TransportResponse } from "./transport.ts"

export interface JsonOptions {
  /** Read as JSON whatever the content type says. Default false. */
  anyType?: boolean
}

/** The answer to a call. Read its body, or dispose of it to free the connection. */
export class Response implements AsyncDisposable {
  readonly status: number
  /** Time to the headers of this answer since the call began, ms. */
  readonly elapsedMs: number
  /** Requests this call put on the wire. */
  readonly attempts: number
  /** `host:port` that answered. */
  readonly endpoint: string
  readonly #wire: TransportResponse
  readonly #deadline: Deadline
  #headers: Headers | undefined

  constructor(wire: TransportResponse, call: { elapsedMs: number; attempts: number; endpoint: string; deadline: Deadline }) {
    this.status = wire.status
    this.elapsedMs = call.elapsedMs
    this.attempts = call.attempts
    this.endpoint = call.endpoint
    this.#wire = wire
    this.#deadline = call.deadline
  }

  /** Whether the status is 2xx. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300
  }

  get headers(): Headers {
    this.#headers ??= this.#wire.headers instanceof Headers ? this.#wire.headers : new Headers([...this.#wire.headers])
    return this.#headers
  }

  /** The body as a stream, for one reader; limited by the idle time-out, no longer by the deadline. */
  get body(): Readable {
    return this.#wire.body
  }

  /** The whole body; the same again when asked again. `deadline_exceeded` when the call's time runs out before it is complete. */
  bytes(): Promise<Buffer> {
    return this.#wire.complete ? this.#wire.bytes() : this.#bytesInTime()
  }

  async #bytesInTime(): Promise<Buffer> {
    let late = false
    const timer = this.#deadline.timer(() => {
      late = true
      this.#wire.discard()
    })
    try {
      return await this.#wire.bytes()
    } catch (error) {
      if (late) throw new MeshError("deadline_exceeded", `${this.endpoint} did not send its whole answer within the deadline`)
      throw MeshError.from(error)
    } finally {
      timer.cancel()
    }
  }

  /** The body as UTF-8 text. */
  async text(): Promise<string> {
    return (await this.bytes()).toString("utf8")
  }

  /** The body parsed; null when empty. `invalid_request` when it is not declared, or not written, as JSON. */
  async json(options: JsonOptions = {}): Promise<unknown> {
    const type = this.#wire.headers.get("content-type") ?? ""
    const text = await this.text()
    if (text === "") return null
    if (!options.anyType && !/^\s*application\/(?:[\w.!#$&^-]+\+)?json\s*(?:;|$)/i.test(type)) {
      throw new MeshError("invalid_request", `${this.endpoint} answered ${this.status} with "${type}" where JSON was expected`)
    }
    try {
      return JSON.parse(text)
    } catch (error) {
      throw new MeshError("invalid_request", `${this.endpoint} answered ${this.status} with broken JSON`, { cause: error })
    }
  }

  /** Frees the connection, whatever was read. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#wire.discard()
    return Promise.resolve()
  }
}
