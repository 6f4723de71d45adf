import { createServer, type Server, type Socket } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { run } from "../testing/fake-context.ts"

const head = (status: string, type: string, body: string) =>
  `HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`

/** What else may listen on a port: what it does on a connection, and what of it is told. */
const kinds: Readonly<Record<string, { serve: (socket: Socket) => void; told: RegExp }>> = {
  "a server that does not speak HTTP": { serve: (socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"), told: /does not speak HTTP/ },
  "a server that resets connections": { serve: (socket) => socket.once("data", () => socket.resetAndDestroy()), told: /ECONNRESET/ },
  "a server that stops in the middle": {
    serve: (socket) => socket.once("data", () => socket.end(head("200 OK", "application/json", "{}").replace("length: 2", "length: 9"))),
    told: /closed the connection|ECONNRESET|aborted/,
  },
  "a proxy whose server is away": {
    serve: (socket) => socket.once("data", () => socket.end(head("502 Bad Gateway", "text/html", "<h1>Bad Gateway</h1>"))),
    told: /answered 502 with something else/,
  },
  "a server with other JSON": {
    serve: (socket) => socket.once("data", () => socket.end(head("200 OK", "application/json", "{}"))),
    told: /is not .*: it answered 200 with something else/,
  },
  "a server with a list": {
    serve: (socket) => socket.once("data", () => socket.end(head("200 OK", "application/json", "[]"))),
    told: /is not .*: it answered 200 with something else/,
  },
  "a server that sends one elsewhere": {
    serve: (socket) => socket.once("data", () => socket.end(head("302 Found", "text/html", "").replace("\r\n\r\n", "\r\nlocation: /login\r\n\r\n"))),
    told: /is not .*: it answered 302 with something else/,
  },
}

const instance = ["--service-type", "t", "--service-name", "n"]
const onServer = [
  ["service", "list"],
  ["service", "get", "t", "n"],
  ["service", "register", ...instance, "--service-location", "h:1"],
  ["service", "unregister", ...instance],
  ["service", "drain", "t", "n"],
  ["service", "weight", "t", "n", "5"],
  ["service", "watch"],
  ["journal"],
  ["journal", "--follow"],
  ["stats", "--watch"],
]
const tree = ["--tree-root", "/t"]

describe.each(Object.entries(kinds))("%s", (_, { serve, told }) => {
  let server: Server
  let port = 0
  beforeAll(async () => {
    server = createServer((socket) => {
      socket.on("error", () => {})
      serve(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    port = (server.address() as { port: number }).port
  })
  afterAll(() => void server.close())

  const asServer = onServer.map((args) => ({ args: [...args, "--server"], place: () => `http://127.0.0.1:${port}` }))
  const asEtcd = onServer.slice(0, 7).map((args) => ({ args: [...args, ...tree, "--etcd-endpoint"], place: () => `127.0.0.1:${port}` }))
  const asGateway = [["explain", "/x"], ["stats"]].map((args) => ({ args: [...args, "--gateway"], place: () => `http://127.0.0.1:${port}` }))

  it.each([...asServer, ...asEtcd, ...asGateway])("$args: one line that says so, nothing on stdout, exit 1", async ({ args, place }) => {
    const { code, stdout, stderr } = await run([...args, place()])
    expect([code, stdout, stderr.split("\n").length]).toEqual([1, "", 2])
    expect(stderr).toMatch(/^meshwork: /)
    expect(stderr).toContain(place())
    expect(stderr).toMatch(told)
  })
})
