import { createServer, type IncomingMessage, type RequestListener } from "node:http"
import { type AddressInfo, connect, type Socket } from "node:net"
import { createPool, createStaticSource } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { expect, it, onTestFinished } from "vitest"
import { createGateway } from "./index.ts"

/** An edge before a backend that is asked to answer by the test, one request after the other. */
async function edge(listener?: RequestListener) {
  const seen: string[] = []
  const answers: (() => void)[] = []
  const byHand: RequestListener = (request, response) => void answers.push(() => response.end(`answer to ${request.url}`))
  const backend = createServer(async (request: IncomingMessage, response) => {
    let body = ""
    try {
      for await (const chunk of request) body += String(chunk)
    } catch {
      return
    }
    seen.push(`${request.method} ${request.url} ${body}`.trim())
    ;(listener ?? byHand)(request, response)
  })
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve))
  const source = createStaticSource("test")
  source.set("a", [fakeInstance("a", (backend.address() as AddressInfo).port)], 0)
  const pool = createPool({ service: "a", source })
  const gateway = createGateway({ routes: [{ match: "prefix", path: "/", service: "a" }], pool: () => pool })
  onTestFinished(async () => {
    await gateway.close({ graceMs: 0 })
    await pool.close()
    backend.closeAllConnections()
    backend.close()
  })
  const { port } = await gateway.listen({ host: "127.0.0.1", port: 0 })
  /** Lets the backend answer the next request once it has come. */
  const answerNext = async (): Promise<void> => {
    await expect.poll(() => answers.length).toBeGreaterThan(0)
    answers.shift()?.()
  }
  return { port, gateway, seen, answerNext }
}

function say(port: number, text: string): { socket: Socket; text(): string; ended: Promise<string> } {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true })
  let heard = ""
  socket.on("data", (chunk) => (heard += chunk.toString("latin1")))
  socket.on("error", () => {})
  socket.write(text, "latin1")
  onTestFinished(() => void socket.destroy())
  return { socket, text: () => heard, ended: new Promise((resolve) => socket.on("close", () => resolve(heard))) }
}

const ask = (line: string, ...headers: string[]): string => `${[`${line} HTTP/1.1`, "Host: e", ...headers].join("\r\n")}\r\n\r\n`
const websocket = ["Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
const statuses = (text: string): (string | undefined)[] => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1])

it.each([
  ["an upgrade", ask("GET /ws", ...websocket)],
  ["CONNECT", ask("CONNECT e:443")],
  ["what is no HTTP", "\x16\x03\x01\r\n\r\n"],
  ["a head that is malformed", ask("GET /b", "X Y: z")],
])("%s behind a request under way ends the connection after its answer, and takes nothing from it", async (_name, second) => {
  const { port, seen, answerNext } = await edge()
  const caller = say(port, `${ask("GET /a")}${second}${ask("GET /c")}`)
  await expect.poll(() => seen).toEqual(["GET /a"])
  await answerNext()
  const text = await caller.ended
  expect([statuses(text), text.endsWith("answer to /a")]).toEqual([["200"], true])
  expect(text).toMatch(/\r\nconnection: close\r\n/i)
  expect(seen).toEqual(["GET /a"])
})

it("chunks that are none are answered with 400 even though the backend has not answered", async () => {
  const { port, seen } = await edge()
  const caller = say(port, `${ask("POST /a", "Transfer-Encoding: chunked")}5\r\nhello\r\n`)
  await new Promise((resolve) => setTimeout(resolve, 50))
  caller.socket.write("nonsense\r\n")
  expect(statuses(await caller.ended)).toEqual(["400"])
  expect(seen).toEqual([])
})

it("requests on one connection reach the backend one after the other, in their order", async () => {
  const { port, gateway, seen, answerNext } = await edge()
  const caller = say(port, `${ask("POST /a", "Content-Length: 2")}ok${ask("GET /b")}${ask("PUT /c", "Content-Length: 2")}o`)
  await expect.poll(() => seen).toEqual(["POST /a ok"])
  expect(gateway.inFlight).toBe(1)
  await answerNext()
  await expect.poll(() => seen.length).toBe(2)
  caller.socket.write(`k${ask("GET /d", "Connection: close")}`)
  for (let left = 3; left > 0; left--) await answerNext()
  expect(statuses(await caller.ended)).toEqual(["200", "200", "200", "200"])
  expect(seen).toEqual(["POST /a ok", "GET /b", "PUT /c ok", "GET /d"])
})

it("one connection occupies one place however much it asks at once; what is beyond a hundred is left to the caller", async () => {
  const { port, gateway, seen } = await edge((request, response) => response.end(request.url))
  const caller = say(port, Array.from({ length: 3000 }, (_, index) => ask(`GET /${index}`)).join(""))
  let most = 0
  const watch = setInterval(() => (most = Math.max(most, gateway.inFlight)), 1)
  const text = await caller.ended
  clearInterval(watch)
  expect(most).toBeLessThanOrEqual(1)
  const answered = statuses(text).length
  expect(answered).toBeGreaterThanOrEqual(101)
  expect(answered).toBeLessThan(3000)
  expect(seen).toEqual(Array.from({ length: answered }, (_, index) => `GET /${index}`))
  expect(text.match(/connection: close/gi)).toHaveLength(1)
})

it("a caller that leaves while its requests wait leaves nothing behind", async () => {
  const { port, gateway, seen, answerNext } = await edge()
  const caller = say(port, ask("GET /a") + ask("GET /b") + ask("GET /c"))
  await expect.poll(() => seen).toEqual(["GET /a"])
  caller.socket.destroy()
  await expect.poll(() => gateway.inFlight).toBe(0)
  const next = say(port, ask("GET /d", "Connection: close"))
  await answerNext()
  await answerNext()
  expect(await next.ended).toContain("answer to /d")
  expect(seen).toEqual(["GET /a", "GET /d"])
})

it("an expectation nobody knows is 417 and the end of the connection", async () => {
  const { port, seen } = await edge((_request, response) => response.end())
  const caller = say(port, `${ask("POST /a", "Expect: 200-ok", "Content-Length: 2")}ok${ask("GET /b")}`)
  expect(statuses(await caller.ended)).toEqual(["417"])
  expect(seen).toEqual([])
})

it("an upgrade asked for in HTTP/1.0 is none", async () => {
  const { port, seen } = await edge((request, response) => response.end(JSON.stringify(request.headers)))
  const caller = say(port, "GET /a HTTP/1.0\r\nHost: e\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
  expect(await caller.ended).not.toContain("websocket")
  expect(seen).toEqual(["GET /a"])
})

it.each([
  ["an upgrade the backend does not grant", ask("GET /ws", ...websocket)],
  ["an upgrade that is refused here", ask("GET /a/../ws", ...websocket)],
  ["an upgrade behind a request", ask("GET /a") + ask("GET /ws", ...websocket)],
  ["an upgrade behind a request whose chunks are none", `${ask("TRACE /a", "Transfer-Encoding: chunked")}0\r\n\r\n${ask("GET /ws", ...websocket)}`],
  ["an upgrade with bytes after it", `${ask("GET /ws", ...websocket)}${"x".repeat(100_000)}`],
  ["CONNECT", ask("CONNECT e:443")],
  ["what is no HTTP", "\x16\x03\x01\r\n\r\n"],
])("no connection is left over after %s, whether the caller closes it or not", async (_name, text) => {
  const { port, gateway } = await edge((_request, response) => response.writeHead(403).end())
  const callers = Array.from({ length: 6 }, (_, index) => {
    const caller = connect({ port, host: "127.0.0.1", allowHalfOpen: true })
    onTestFinished(() => void caller.destroy())
    caller.on("error", () => {})
    caller.write(text, "latin1")
    if (index % 3 === 0) caller.end()
    if (index % 3 === 1) setTimeout(() => caller.destroy(), 20)
    return caller.resume()
  })
  await expect.poll(() => callers.filter(({ bytesRead, destroyed }) => bytesRead === 0 && !destroyed)).toEqual([])
  const open = (): Promise<number> => new Promise((resolve) => gateway.server.getConnections((_error, count) => resolve(count)))
  // Long before the time limit of a head would end it.
  await expect.poll(open, { timeout: 7000 }).toBe(0)
  expect(gateway.inFlight).toBe(0)
})
