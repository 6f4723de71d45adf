import { MeshError, parseWatchToken, watchKeepAliveMs, type Clock, type Timer } from "@meshwork/contract"
import type { Registry } from "@meshwork/registry-core"
import type { FastifyReply, FastifyRequest } from "fastify"
import { WatchStream } from "./watch-stream.ts"

/** Streams written per turn of the event loop, so that a change for thousands does not hold up a heartbeat. */
const streamsPerTurn = 200
/** How long a subscriber may take nothing of what waits for it before its connection is cut, ms. */
const patienceMs = 60_000
/** How long an ended stream may take to send its rest, ms. */
const endGraceMs = 1000

/** All watch streams of the server: hands out what is new, keeps quiet ones alive, cuts dead ones. */
export class WatchHub {
  readonly #registry: Registry
  readonly #clock: Clock
  readonly #streams = new Set<WatchStream>()
  readonly #dirty = new Set<WatchStream>()
  #turn: NodeJS.Immediate | undefined
  #tick: Timer
  #closed = false

  constructor(registry: Registry, clock: Clock) {
    this.#registry = registry
    this.#clock = clock
    this.#tick = this.#arm()
  }

  get size(): number {
    return this.#streams.size
  }

  /** Turns a request into a stream. Throws before anything is written: `limit_exceeded`, or `overloaded` while closing. */
  open(request: FastifyRequest, reply: FastifyReply, query: { service?: string[]; fresh?: string[] }): void {
    if (this.#closed) throw new MeshError("overloaded", "the server is stopping")
    const resume = parseWatchToken(request.headers["last-event-id"]?.toString())
    let stream: WatchStream | undefined
    const watch = this.#registry.watch(
      {
        ...(query.service === undefined ? {} : { services: query.service }),
        ...(query.fresh === undefined ? {} : { fresh: query.fresh }),
        ...(resume === undefined ? {} : { resume }),
      },
      () => {
        if (stream) this.#wake(stream)
      },
    )
    reply.hijack()
    stream = new WatchStream(request.raw, reply.raw, watch, this.#clock.monotonic())
    const opened = stream
    this.#streams.add(opened)
    reply.raw.on("error", () => {})
    reply.raw.once("close", () => this.#forget(opened))
    // A response still queued behind another one is not told that its connection ended.
    if (reply.raw.socket === null) request.raw.socket.once("close", () => this.#forget(opened))
    if (reply.raw.destroyed) return this.#forget(opened)
    this.#wake(opened)
  }

  /** Ends every stream; those that do not take their rest are cut after a second. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#tick.cancel()
    if (this.#turn) clearImmediate(this.#turn)
    const open = [...this.#streams]
    for (const stream of open) stream.end()
    if (open.length === 0) return
    this.#clock
      .timer(endGraceMs, () => {
        for (const stream of open) stream.destroy()
      })
      .unref()
  }

  #forget(stream: WatchStream): void {
    this.#streams.delete(stream)
    this.#dirty.delete(stream)
    stream.release()
  }

  #wake(stream: WatchStream): void {
    if (this.#closed || stream.closed) return
    this.#dirty.add(stream)
    this.#turn ??= setImmediate(() => this.#deliver())
  }

  #deliver(): void {
    this.#turn = undefined
    const now = this.#clock.monotonic()
    let left = streamsPerTurn
    for (const stream of this.#dirty) {
      if (left-- === 0) break
      this.#dirty.delete(stream)
      stream.flush(now, () => this.#wake(stream))
    }
    if (this.#dirty.size > 0) this.#turn ??= setImmediate(() => this.#deliver())
  }

  #arm(): Timer {
    return this.#clock
      .timer(watchKeepAliveMs / 3, () => {
        this.#tick = this.#arm()
        const now = this.#clock.monotonic()
        for (const stream of this.#streams) {
          if (stream.idleFor(now) >= patienceMs) stream.destroy()
          else if (now - stream.writtenAt >= (watchKeepAliveMs * 2) / 3) stream.keepAlive(now)
        }
      })
      .unref()
  }
}
