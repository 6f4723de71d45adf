import { type AddressInfo, createServer, type Socket } from "node:net"
import { readStrictly, type StrictRequest } from "./strict-parser.ts"

/** A backend that believes nothing: it reads bytes strictly, keeps what it was sent, and answers every whole request with `reached`. */
export interface RecordingBackend {
  readonly port: number
  /** Whole requests since the last `forget`. */
  readonly requests: readonly StrictRequest[]
  /** What no proxy may send, since the last `forget`. */
  readonly faults: readonly string[]
  /** Bytes received since the last `forget`. */
  readonly bytes: number
  /** Connections that hold the beginning of a request. */
  readonly unfinished: number
  forget(): void
  close(): Promise<void>
}

/** Begins to listen on a free port of 127.0.0.1. */
export async function recordingBackend(): Promise<RecordingBackend> {
  const backend = new Recorder()
  await backend.listen()
  return backend
}

class Recorder implements RecordingBackend {
  requests: StrictRequest[] = []
  faults: string[] = []
  bytes = 0
  readonly #rest: Map<Socket, string> = new Map()
  readonly #server = createServer((socket) => this.#accept(socket))

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get unfinished(): number {
    return [...this.#rest.values()].filter((text) => text !== "").length
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve))
  }

  forget(): void {
    this.requests = []
    this.faults = []
    this.bytes = 0
  }

  close(): Promise<void> {
    for (const socket of this.#rest.keys()) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  #accept(socket: Socket): void {
    this.#rest.set(socket, "")
    socket.on("error", () => {})
    socket.on("close", () => this.#rest.delete(socket))
    socket.on("data", (data) => {
      this.bytes += data.length
      this.#read(socket, (this.#rest.get(socket) ?? "") + data.toString("latin1"))
    })
  }

  #read(socket: Socket, text: string): void {
    this.#rest.set(socket, text)
    const reading = readStrictly(text)
    if (reading === undefined) return
    if ("fault" in reading) {
      this.faults.push(reading.fault)
      return void socket.destroy()
    }
    const { request, end } = reading
    this.requests.push(request)
    // A proxy that does not pipeline has nothing more to say before it is answered.
    if (text.length > end) {
      this.faults.push(`${text.length - end} bytes after the request: ${JSON.stringify(text.slice(end, end + 80))}`)
      return void socket.destroy()
    }
    this.#rest.set(socket, "")
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n${request.method === "HEAD" ? "" : "reached"}`)
  }
}
