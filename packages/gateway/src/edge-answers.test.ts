import { type AddressInfo, connect, createServer as createTcpServer } from "node:net"
import { createPool, createStaticSource, roundRobin } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { expect, it, onTestFinished } from "vitest"
import { createGateway, type GatewaySettings } from "./index.ts"
import { httpBackend } from "./testing/edge.ts"

/** A backend that answers every request with these bytes, and then cuts the connection where asked. */
async function rawBackend(answer: string, cut = false): Promise<number> {
  const server = createTcpServer((socket) => {
    socket.on("error", () => {})
    socket.once("data", () => {
      socket.write(answer)
      if (cut) setTimeout(() => socket.destroy(), 20)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function edge(ports: number[], settings: GatewaySettings = {}): Promise<number> {
  const source = createStaticSource("test")
  source.set(
    "a",
    ports.map((port) => fakeInstance("a", port)),
    0,
  )
  const pool = createPool({ service: "a", source, balancer: roundRobin })
  const gateway = createGateway({ routes: [{ match: "prefix", path: "/", service: "a" }], pool: () => pool, settings })
  onTestFinished(async () => {
    await gateway.close({ graceMs: 0 })
    await pool.close()
  })
  return (await gateway.listen({ host: "127.0.0.1", port: 0 })).port
}

/** Everything the edge says to these bytes until it ends the connection, or until `quietMs` have passed. */
function say(port: number, bytes: string, quietMs = 3000): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    let text = ""
    const patience = setTimeout(() => socket.destroy(), quietMs)
    socket.on("data", (chunk) => (text += chunk.toString("latin1")))
    socket.on("error", () => {})
    socket.on("close", () => {
      clearTimeout(patience)
      resolve(text)
    })
    socket.write(bytes, "latin1")
  })
}

const get = (path = "/", ...headers: string[]) => `${["GET " + path + " HTTP/1.1", "Host: e", "Connection: close", ...headers].join("\r\n")}\r\n\r\n`

it.each([
  ["beside a Content-Length", "HTTP/1.1 200 OK\r\nTrailer: X-A\r\nContent-Length: 2\r\n\r\nok", get()],
  ["to HEAD", "HTTP/1.1 200 OK\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n", get().replace("GET", "HEAD")],
  [
    "to an HTTP/1.0 client",
    "HTTP/1.1 200 OK\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: e\r\n\r\n",
  ],
])("Trailer %s is no reason to fail", async (_title, answer, request) => {
  const text = await say(await edge([await rawBackend(answer)]), request)
  expect(text).toMatch(/^HTTP\/1\.1 200 /)
  expect(text).not.toMatch(/\r\ntrailer:/i)
})

it.each([
  ["102 Processing", "102 Processing\r\n", /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 200 /],
  [
    "103 with its links",
    "103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: <b>\r\n",
    /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>; rel=preload\r\nLink: <b>\r\n\r\nHTTP\/1\.1 200 /,
  ],
  [
    "103 without a link",
    "103 Early Hints\r\nX-Hint: 1\r\nConnection: X-Gone\r\nX-Gone: 1\r\n",
    /^HTTP\/1\.1 103 Early Hints\r\nX-Hint: 1\r\n\r\nHTTP\/1\.1 200 /,
  ],
  ["104, which nobody has defined for good", "104 Upload Resumption Supported\r\n", /^HTTP\/1\.1 104 [^\r]*\r\n\r\nHTTP\/1\.1 200 /],
])("passes on %s", async (_name, head, expected) => {
  const backend = await rawBackend(`HTTP/1.1 ${head}\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`)
  expect(await say(await edge([backend]), get())).toMatch(expected)
})

it("an early hint that node:http dislikes does not cost the answer", async () => {
  const backend = await rawBackend("HTTP/1.1 103 Early Hints\r\nLink: not a link\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
  expect(await say(await edge([backend]), get())).toMatch(/HTTP\/1\.1 200 [\s\S]*ok$/)
})

it("an HTTP/1.0 client gets no 1xx", async () => {
  const backend = await rawBackend("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
  expect(await say(await edge([backend]), "GET / HTTP/1.0\r\nHost: e\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 /)
})

it("a GET whose answer breaks off within its head goes elsewhere", async () => {
  const port = await edge([await rawBackend("HTTP/1.1 200 OK\r\nX-Half: ", true), await httpBackend((_request, response) => response.end("good"))])
  for (let call = 0; call < 4; call++) expect(await say(port, get())).toMatch(/^HTTP\/1\.1 200 [\s\S]*good$/)
})

it("nothing that follows a refused request on its connection reaches a backend", async () => {
  let reached = 0
  const port = await edge([
    await httpBackend((_request, response) => {
      reached++
      response.end()
    }),
  ])
  const text = await say(port, `GET /a%00 HTTP/1.1\r\nHost: e\r\n\r\n${get("/second")}`)
  expect([text.slice(0, 12), text.match(/HTTP\/1\.1/g)?.length, reached]).toEqual(["HTTP/1.1 400", 1, 0])
})

it("an answer before the end of an upload ends the connection", async () => {
  const port = await edge([await httpBackend((_request, response) => response.writeHead(413).end("too much"))])
  const text = await say(port, `POST / HTTP/1.1\r\nHost: e\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(100)}`)
  expect(text).toMatch(/^HTTP\/1\.1 413 [\s\S]*connection: close/i)
})

it("a small body in chunks can be sent again like one of known length", async () => {
  const port = await edge([
    await httpBackend((request) => request.socket.destroy()),
    await httpBackend(async (request, response) => {
      let body = ""
      for await (const chunk of request) body += String(chunk)
      response.end(body)
    }),
  ])
  const put = "PUT / HTTP/1.1\r\nHost: e\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nagain\r\n0\r\n\r\n"
  for (let call = 0; call < 4; call++) expect(await say(port, put)).toMatch(/^HTTP\/1\.1 200 [\s\S]*again$/)
})

it("refuses what is over its limit of requests in flight, and serves again afterwards", async () => {
  let release: (() => void) | undefined
  const backend = await httpBackend((request, response) => {
    if (request.url === "/slow") release = () => response.end("slow")
    else response.end("quick")
  })
  const port = await edge([backend], { maxInFlight: 1 })
  const slow = say(port, get("/slow"))
  await expect.poll(() => release).toBeDefined()
  expect(await say(port, get("/quick"))).toMatch(/^HTTP\/1\.1 503 /)
  release?.()
  expect(await slow).toContain("slow")
  expect(await say(port, get("/quick"))).toContain("quick")
})

it("a caller outside the trusted ones cannot say where a request came from, a trusted proxy can", async () => {
  const backend = await httpBackend((request, response) => response.end(JSON.stringify(request.headers)))
  const told = [
    "X-Forwarded-For: 9.9.9.9",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Port: 1",
    "X-Real-IP: 9.9.9.9",
    "Forwarded: for=9.9.9.9",
    "Via: 1.0 a",
    "Via: 1.1 b",
  ]
  const read = async (settings: GatewaySettings) =>
    JSON.parse((await say(await edge([backend], settings), get("/", ...told))).split("\r\n\r\n")[1] ?? "") as Record<string, string>
  const stranger = await read({})
  expect(stranger).toMatchObject({ "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http", via: "1.0 a, 1.1 b, 1.1 meshwork" })
  expect(Object.keys(stranger)).not.toContain("x-real-ip")
  expect(Object.keys(stranger)).not.toContain("x-forwarded-port")
  expect(await read({ trustedProxies: ["127.0.0.0/8"] })).toMatchObject({
    "x-forwarded-for": "9.9.9.9, 127.0.0.1",
    "x-forwarded-proto": "https",
    "x-real-ip": "9.9.9.9",
    "x-forwarded-port": "1",
  })
})

it("mesh headers of strangers are dropped", async () => {
  const backend = await httpBackend((request, response) => response.end(JSON.stringify(request.headers)))
  const port = await edge([backend], { meshPeers: ["10.0.0.0/8"] })
  const text = await say(port, get("/", "X-Request-Timeout: 0.001", "X-Request-Priority: high", "X-Request-Attempt: 9"))
  expect(JSON.parse(text.split("\r\n\r\n")[1] ?? "")).toMatchObject({ "x-request-attempt": "1" })
  expect(text).not.toContain("x-request-priority")
})

it("a reason phrase that HTTP cannot carry becomes the usual one", async () => {
  const backend = await rawBackend("HTTP/1.1 200 成功\r\nContent-Length: 2\r\n\r\nok")
  expect(await say(await edge([backend]), get())).toMatch(/^HTTP\/1\.1 200 [\s\S]*ok$/)
})

it.each(["gzip, chunked", "identity", "chunked, chunked"])(
  "an answer whose Transfer-Encoding is %s is not passed on as something else",
  async (coding) => {
    const backend = await rawBackend(`HTTP/1.1 200 OK\r\nTransfer-Encoding: ${coding}\r\n\r\n2\r\nok\r\n0\r\n\r\n`)
    expect(await say(await edge([backend]), get())).toMatch(/^HTTP\/1\.1 502 /)
  },
)

it("no trailer of a backend frames, routes, authenticates or describes the content", async () => {
  const trailers = [
    "X-Sum: 1",
    "Transfer-Encoding: chunked",
    "Host: evil",
    "Connection: close",
    "Set-Cookie: a=b",
    "Content-Type: x/y",
    "X-Forwarded-For: evil",
  ]
  const backend = await rawBackend(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${trailers.join("\r\n")}\r\n\r\n`)
  const text = await say(await edge([backend]), get())
  expect(text.toLowerCase()).toMatch(/\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n$/)
})
