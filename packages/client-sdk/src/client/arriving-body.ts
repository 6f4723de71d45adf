import { Readable } from "node:stream"
import { MeshError } from "@meshwork/contract"

const highWaterMark = 256 * 1024

/** The connection a body arrives on. */
export interface BodyFlow {
  pause(): void
  resume(): void
  /** Nobody reads on. */
  discard(): void
}

/** The body of an answer while it arrives. Kept until it is read, and the connection held back when that takes long. */
export class ArrivingBody {
  readonly #flow: BodyFlow
  #chunks: Buffer[] = []
  #kept = 0
  complete = false
  #error: MeshError | undefined
  #stream: Readable | undefined
  #whole: Promise<Buffer> | undefined
  #wake: (() => void) | undefined
  #paused = false

  constructor(flow: BodyFlow) {
    this.#flow = flow
  }

  /** Whether it waits for its reader. */
  get waiting(): boolean {
    return this.#whole === undefined && (this.#stream ? this.#stream.readableLength > 0 : this.#kept > 0)
  }

  /** All of it; the same again when asked again. */
  bytes(): Promise<Buffer> {
    if (this.#stream) return Promise.reject(new MeshError("invalid_request", "the body is being read as a stream already"))
    this.#whole ??= this.#collect()
    return this.#whole
  }

  /** It as a stream, for one reader. */
  get stream(): Readable {
    if (this.#stream) return this.#stream
    if (this.#whole) throw new MeshError("invalid_request", "the body was read already")
    const stream = new Readable({
      highWaterMark,
      read: () => this.#letFlow(),
      destroy: (error, done) => {
        this.#flow.discard()
        done(error)
      },
    })
    // Who reads it is told by the reading; nobody has to listen.
    stream.on("error", () => {})
    this.#stream = stream
    for (const chunk of this.#chunks) stream.push(chunk)
    this.#chunks = []
    this.#kept = 0
    if (this.#error) stream.destroy(this.#error)
    else if (this.complete) stream.push(null)
    return stream
  }

  push(chunk: Buffer): void {
    if (this.#stream) {
      if (!this.#stream.push(chunk)) this.#holdBack()
      return
    }
    this.#chunks.push(chunk)
    this.#kept += chunk.length
    if (this.#whole === undefined && this.#kept >= highWaterMark) this.#holdBack()
  }

  end(): void {
    this.complete = true
    this.#stream?.push(null)
    this.#wake?.()
  }

  fail(error: MeshError): void {
    if (this.complete) return
    this.#error = error
    this.#chunks = []
    this.#stream?.destroy(error)
    this.#wake?.()
  }

  async #collect(): Promise<Buffer> {
    this.#letFlow()
    if (!this.complete && !this.#error) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#error) throw this.#error
    const [first] = this.#chunks
    const whole = this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks)
    this.#chunks = []
    return whole
  }

  #holdBack(): void {
    this.#paused = true
    this.#flow.pause()
  }

  #letFlow(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#flow.resume()
  }
}
