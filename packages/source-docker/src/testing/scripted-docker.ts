import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import type { AddressInfo } from "node:net"

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** An HTTP server that answers as an engine does, or as a test wants it to. */
export class ScriptedDocker {
  /** Paths with their queries, as they were asked. */
  readonly asked: string[] = []
  /** What is listed, as an engine writes it. */
  summaries: object[] = []
  /** Answer by path; the others get 404. */
  readonly answers: Record<string, Answer> = {
    "/info": (_, response) => void response.end('{"ID":"A","Name":"b"}'),
    "/containers/json": (_, response) => void response.end(JSON.stringify(this.summaries)),
    "/events": (_, response) => {
      response.writeHead(200, { "content-type": "application/json" }).flushHeaders()
      this.streams.add(response)
      response.on("close", () => this.streams.delete(response))
    },
  }
  readonly streams: Set<ServerResponse> = new Set()
  readonly #server: Server
  #nano = 1

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

  /** Something happens to a container; tells everyone who listens. */
  say(action: string, id: string, attributes: Record<string, string> = {}): void {
    const event = { Type: "container", Action: action, Actor: { ID: id, Attributes: attributes }, timeNano: this.#nano++ }
    for (const stream of this.streams) stream.write(`${JSON.stringify(event)}\n`)
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
