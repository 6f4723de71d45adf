import type { IncomingMessage, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { WatchToken } from "@meshwork/contract"
import type { Watch } from "@meshwork/registry-core"
import { type EventBytes, eventBytes, keepAliveBytes } from "./sse-chunks.ts"

/** What may wait in this process for one subscriber, bytes; beyond it nothing more is taken until all of it is gone. */
const maxWaitingBytes = 256 * 1024

/** One subscriber's connection. Takes from its watch only what the connection can carry. */
export class WatchStream {
  readonly #response: ServerResponse
  /** The socket, when chunks can be written to it directly; else the response frames them. */
  readonly #socket: Socket | undefined
  readonly #watch: Watch
  #token: WatchToken | undefined
  #stalled = false
  #closed = false
  #drained = 0
  /** When something was last written, and when the subscriber last took something, on the hub's clock. */
  writtenAt: number
  progressAt: number

  constructor(request: IncomingMessage, response: ServerResponse, watch: Watch, now: number) {
    this.#response = response
    this.#watch = watch
    this.writtenAt = now
    this.progressAt = now
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" })
    response.flushHeaders()
    // Behind a pipelined request the response has no socket yet, and HTTP/1.0 knows no chunks.
    this.#socket = response.socket !== null && request.httpVersion === "1.1" ? response.socket : undefined
  }

  get closed(): boolean {
    return this.#closed
  }

  get stalled(): boolean {
    return this.#stalled
  }

  /** Writes what there is to take; `resume` is called once the subscriber has caught up if it has not. */
  flush(now: number, resume: () => void): void {
    if (this.#closed || this.#stalled) return
    if (this.#target.writableLength > maxWaitingBytes) return this.#stall(resume)
    const frames = this.#watch.take()
    if (frames.length === 0) return
    const many = frames.length > 1
    if (many) this.#target.cork()
    for (const frame of frames) {
      this.#write(eventBytes(frame))
      this.#token = frame.token ?? this.#token
    }
    if (many) this.#target.uncork()
    this.writtenAt = now
  }

  /** Says that the stream is alive and where it stands, unless there is more waiting than that anyway. */
  keepAlive(now: number): void {
    if (this.#closed || this.#stalled || this.#target.writableLength > 0) return
    this.#write(keepAliveBytes(this.#token))
    this.writtenAt = now
  }

  /** Notes whether the subscriber took anything since the last call, and for how long it has not while something waits, ms. */
  idleFor(now: number): number {
    const socket = this.#response.socket
    const waiting = this.#target.writableLength
    const drained = (socket?.bytesWritten ?? 0) - (socket?.writableLength ?? 0)
    if (drained !== this.#drained || waiting === 0) this.progressAt = now
    this.#drained = drained
    return now - this.progressAt
  }

  /** Forgets the subscription; the connection is whoever's it is. Idempotent. */
  release(): void {
    if (this.#closed) return
    this.#closed = true
    this.#watch.close()
  }

  /** Ends the stream in order. */
  end(): void {
    this.release()
    const { socket } = this.#response
    this.#response.end()
    socket?.destroySoon()
  }

  /** Cuts the connection. */
  destroy(): void {
    this.release()
    this.#response.destroy()
  }

  get #target(): Socket | ServerResponse {
    return this.#socket ?? this.#response
  }

  #write(bytes: EventBytes): void {
    for (const part of this.#socket ? bytes.framed : bytes.plain) this.#target.write(part)
  }

  #stall(resume: () => void): void {
    this.#stalled = true
    this.#target.once("drain", () => {
      this.#stalled = false
      resume()
    })
  }
}
