import type { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Clock } from "@meshwork/contract"

const lingerMs = 1000
/** Share of the connections allowed at which idle ones are closed, and how often at most, ms. */
const crowded = 0.9
const reliefMs = 100
/** Requests that may wait on one connection for the answer to another one. */
const maxWaiting = 100

interface Waiting {
  count: number
  last: ServerResponse
}

/** The connections of callers: how many there may be, whose turn it is on one, and how one ends on which something was refused. */
export class Connections {
  readonly #clock: Clock
  /** What follows on these is not to be believed. */
  readonly #refused: WeakSet<Duplex> = new WeakSet()
  /** Those that have not agreed on their encryption yet, by where they come from: node:tls makes a second socket of each. */
  readonly #shaking: Map<string, Socket> = new Map()
  readonly #waiting: WeakMap<Duplex, Waiting> = new WeakMap()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Bounds the connections of a server; who asks for nothing makes room before somebody who does is turned away. */
  bound(server: Server, maxConnections: number): void {
    server.maxConnections = maxConnections
    let connections = 0
    let relieved = Number.NEGATIVE_INFINITY
    server.on("connection", (socket: Duplex) => {
      connections++
      socket.once("close", () => connections--)
      const now = this.#clock.monotonic()
      if (connections < maxConnections * crowded || now - relieved < reliefMs) return
      relieved = now
      server.closeIdleConnections()
    })
  }

  /** A connection that begins its TLS handshake. */
  shaking(socket: Socket): void {
    const key = originKey(socket)
    this.#shaking.set(key, socket)
    socket.once("close", () => {
      if (this.#shaking.get(key) === socket) this.#shaking.delete(key)
    })
  }

  /** A connection that has ended its TLS handshake. */
  shaken(socket: Socket): void {
    this.#shaking.delete(originKey(socket))
  }

  /** Cuts connections that have not even agreed on their encryption; no server counts them as idle. */
  cutShaking(): void {
    for (const socket of this.#shaking.values()) socket.destroy()
  }

  /** Believes nothing more that comes on a connection. */
  refuse(socket: Duplex): void {
    this.#refused.add(socket)
  }

  isRefused(socket: Duplex): boolean {
    return this.#refused.has(socket)
  }

  /**
   * Has a request wait until those before it on its connection are answered: they may change what it finds, and one connection must not take
   * the room of thousands. Those beyond a hundred are left to the caller, who sees the connection end after the last answer.
   */
  waitForTurn(request: IncomingMessage, response: ServerResponse, then: () => void): void {
    const { socket } = request
    const waiting = this.#waiting.get(socket) ?? { count: 0, last: response }
    if (waiting.count >= maxWaiting) {
      waiting.last.shouldKeepAlive = false
      socket.pause()
      return
    }
    waiting.count++
    waiting.last = response
    this.#waiting.set(socket, waiting)
    response.once("socket", () => {
      waiting.count--
      then()
    })
  }

  /** Ends a connection with an error, in place of an answer or after the one that is under way for an earlier request. */
  endWith(socket: Duplex, status: number, why: string): void {
    // More of what was refused already: its end is on the way.
    if (this.isRefused(socket)) return
    this.refuse(socket)
    if (!socket.writable) return void socket.destroy()
    const current = answerUnderWay(socket)
    if (current?.req.complete) return endAfter(current, socket)
    // The error would become part of the answer that has begun.
    if (current?.headersSent) return void socket.destroy()
    this.end(socket, errorBytes(status, why))
  }

  /** Says the last words on a connection. A caller that leaves its half open, or goes away where nobody listens any more, does not keep it. */
  end(socket: Duplex, words = ""): void {
    const timer = this.#clock.timer(lingerMs, () => socket.destroy()).unref()
    socket.once("close", () => timer.cancel())
    socket.end(words)
    // What still comes is read and forgotten: bytes that nobody read would make the kernel take the last words back.
    socket.resume()
  }
}

const originKey = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`

/** The answer that has a connection to itself at this moment. */
export function answerUnderWay(socket: Duplex): ServerResponse | undefined {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined
}

/** Ends a connection as soon as an answer has gone out. */
export function endAfter(response: ServerResponse, socket: Duplex): void {
  response.shouldKeepAlive = false
  response.once("close", () => (socket as Socket).destroySoon())
}

function errorBytes(status: number, why: string): string {
  const body = JSON.stringify({ type: "urn:meshwork:error:invalid_request", title: "Invalid request", status, detail: why, code: "invalid_request" })
  const reason = status === 431 ? "Request Header Fields Too Large" : status === 408 ? "Request Timeout" : "Bad Request"
  return `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/problem+json\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}
