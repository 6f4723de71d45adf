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
  readonly headers: Headers
  /** Time to the headers of this answer since the call began, ms. */
  readonly elapsedMs: number
  /** Requests this call put on the wire. */
  readonly attempts: number
  /** `host:port` that answered. */
  readonly endpoint: string
  readonly #wire: TransportResponse
  readonly #deadline: Deadline

  constructor(wire: TransportResponse, call: { elapsedMs: number; attempts: number; endpoint: string; deadline: Deadline }) {
    this.status = wire.status
    this.headers = wire.headers
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

  /** The body as a stream; limited by the idle time-out, no longer by the deadline. */
  get body(): AsyncIterable<Buffer> {
    return this.#wire.body
  }

  /** The whole body. `deadline_exceeded` when the call's time runs out before it is complete. */
  async bytes(): Promise<Buffer> {
    const chunks: Buffer[] = []
    let late = this.#deadline.expired
    const timer = this.#deadline.timer(() => {
      late = true
      this.#wire.discard()
    })
    try {
      for await (const chunk of this.#wire.body) chunks.push(chunk)
    } catch (error) {
      if (!late) throw MeshError.from(error)
    } finally {
      timer.cancel()
    }
    if (late) throw new MeshError("deadline_exceeded", `${this.endpoint} did not send its whole answer within the deadline`)
    return Buffer.concat(chunks)
  }

  /** The body as UTF-8 text. */
  async text(): Promise<string> {
    return (await this.bytes()).toString("utf8")
  }

  /** The body parsed; null when empty. `invalid_request` when it is not declared, or not written, as JSON. */
  async json(options: JsonOptions = {}): Promise<unknown> {
    const type = this.headers.get("content-type") ?? ""
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
