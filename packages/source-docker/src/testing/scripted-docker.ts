import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import type { AddressInfo } from "node:net"

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** An HTTP server that answers as an engine does, or as a test wants it to. */
export class ScriptedDocker {
  /** Paths with their queries, as they were asked. */
  readonly asked: string[] = []
  /** Answer by path; the others get 404. */
  readonly answers: Record<string, Answer> = {
    "/info": (_, response) => void response.end('{"ID":"A","Name":"b"}'),
    "/containers/json": (_, response) => void response.end("[]"),
    "/events": (_, response) => {
      response.writeHead(200, { "content-type": "application/json" }).flushHeaders()
      this.streams.add(response)
      response.on("close", () => this.streams.delete(response))
    },
  }
  readonly streams: Set<ServerResponse> = new Set()
  readonly #server: Server

  constructor(tls?: { ca: Buffer; cert: Buffer; key: Buffer }) {
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      const [path = ""] = (request.url ?? "").split("?")
      this.asked.push(request.url ?? "")
      const answer = this.answers[path]
      if (answer) answer(request, response)
      else response.writeHead(404).end('{"message":"No such container"}')
    }
    this.#server = tls ? createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: true }, handle) : createServer(handle)
  }

  /** Listens on a socket file, or on a port of 127.0.0.1 that it returns. */
  async listen(path?: string): Promise<number> {
    await new Promise<void>((resolve) => (path === undefined ? this.#server.listen(0, "127.0.0.1", resolve) : this.#server.listen(path, resolve)))
    return path === undefined ? (this.#server.address() as AddressInfo).port : 0
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
