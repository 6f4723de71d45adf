import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net"
import { circuitBreaker, createPool, createStaticSource } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { expect, it, onTestFinished } from "vitest"
import { createGateway, type RouteSettings } from "./index.ts"
import { httpBackend, startEdge } from "./testing/edge.ts"

interface Caller {
  socket: Socket
  text(): string
  closed: Promise<void>
}

function call(port: number, bytes = ""): Caller {
  const socket = connect(port, "127.0.0.1")
  let text = ""
  socket.on("data", (chunk) => (text += chunk.toString("latin1")))
  socket.on("error", () => {})
  if (bytes !== "") socket.write(bytes)
  onTestFinished(() => void socket.destroy())
  return { socket, text: () => text, closed: new Promise((resolve) => socket.on("close", () => resolve())) }
}

const head = (...lines: string[]): string => `${[...lines, "Host: e"].join("\r\n")}\r\n\r\n`

it("a head that does not come, or comes byte by byte, ends with 408", async () => {
  const { port } = await startEdge([], { headersTimeoutMs: 300 })
  const silent = call(port)
  const slow = call(port, "GET / HTTP/1.1\r\nX-Slow: a")
  const drip = setInterval(() => slow.socket.write("X"), 50)
  onTestFinished(() => clearInterval(drip))
  await Promise.all([silent.closed, slow.closed])
  expect(slow.text()).toMatch(/^HTTP\/1\.1 408 /)
})

it("an idle connection ends after its time", async () => {
  const { port } = await startEdge([await httpBackend((_request, response) => response.end("ok"))], { keepAliveTimeoutMs: 200 })
  const idle = call(port, head("GET / HTTP/1.1"))
  await idle.closed
  expect(idle.text()).toMatch(/^HTTP\/1\.1 200 [\s\S]*ok$/)
})

it("a small body that comes slowly occupies no instance, and ends with 408 when the time of the route is over", async () => {
  let reached = 0
  const backend = await httpBackend((_request, response) => {
    reached++
    response.end()
  })
  const { port, pool } = await startEdge([backend], {}, { timeoutMs: 300 })
  const slow = call(port, `${head("POST / HTTP/1.1", "Content-Length: 10")}abc`)
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(pool.candidates()[0]?.endpoint.inFlight).toBe(0)
  await slow.closed
  expect(slow.text()).toMatch(/^HTTP\/1\.1 408 [\s\S]*did not arrive within 0\.300 s/)
  expect(reached).toBe(0)
})

it("a large body that stalls ends with 408 when the time of the route is over, and the backend hears of it", async () => {
  let aborted = 0
  const backend = await httpBackend((request) => request.on("close", () => aborted++).resume())
  const { port } = await startEdge([backend], {}, { timeoutMs: 300 })
  const stalled = call(port, `${head("POST / HTTP/1.1", "Content-Length: 1000000")}abc`)
  await stalled.closed
  expect(stalled.text()).toMatch(/^HTTP\/1\.1 408 /)
  await expect.poll(() => aborted).toBe(1)
})

it("an upload counts as life after the answer has begun; without a byte either way both sides are cut", async () => {
  let received = 0
  const backend = await httpBackend((request, response) => {
    response.writeHead(200)
    response.flushHeaders()
    request.on("data", (chunk: Buffer) => (received += chunk.length))
    request.on("close", () => response.destroy())
  })
  const { port } = await startEdge([backend], {}, { idleTimeoutMs: 1000 })
  const upload = call(port, head("POST / HTTP/1.1", "Content-Length: 1000000"))
  const begin = performance.now()
  while (performance.now() - begin < 2500) {
    upload.socket.write("x".repeat(100))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(upload.socket.closed).toBe(false)
  }
  expect(received).toBeGreaterThan(1000)
  await upload.closed
  expect(performance.now() - begin).toBeLessThan(10_000)
})

it("a client that never reads is cut, and the backend is not read on for it", async () => {
  let written = 0
  let open = true
  const backend = await httpBackend((_request, response) => {
    const chunk = Buffer.alloc(65_536)
    const more = (): void => {
      while (open && response.write(chunk)) written += chunk.length
    }
    response.on("drain", more)
    response.on("close", () => (open = false))
    more()
  })
  const { port } = await startEdge([backend], {}, { idleTimeoutMs: 300 })
  const deaf = connect(port, "127.0.0.1", () => deaf.write(head("GET / HTTP/1.1")))
  deaf.on("error", () => {})
  deaf.pause()
  onTestFinished(() => void deaf.destroy())
  await expect.poll(() => open).toBe(false)
  expect(written).toBeLessThan(64 * 1024 * 1024)
})

it("turns connections away beyond its limit, but closes idle ones before that", async () => {
  const { port } = await startEdge([await httpBackend((_request, response) => response.end("ok"))], { maxConnections: 20 })
  const idle = await Promise.all(
    Array.from({ length: 17 }, async () => {
      const caller = call(port, head("GET / HTTP/1.1"))
      await expect.poll(() => caller.text()).toContain("ok")
      return caller
    }),
  )
  const crowd = Array.from({ length: 6 }, () => call(port))
  await expect.poll(() => idle.filter(({ socket }) => socket.closed).length).toBe(17)
  const late = call(port, head("GET / HTTP/1.1"))
  await expect.poll(() => late.text()).toMatch(/^HTTP\/1\.1 200 /)
  const more = Array.from({ length: 20 }, () => call(port))
  await expect.poll(() => more.filter(({ socket }) => socket.closed).length).toBeGreaterThanOrEqual(5)
  for (const { socket } of [...crowd, ...more]) socket.destroy()
  await expect
    .poll(async () => {
      const again = call(port, head("GET / HTTP/1.1", "Connection: close"))
      await again.closed
      return again.text()
    })
    .toContain("ok")
})

it("what a backend answers in the middle of an upload reaches the caller, even when the backend closes at once", async () => {
  const backend = createTcpServer((socket) => {
    socket.on("error", () => {})
    socket.once("data", () => {
      socket.write("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo much")
      // Unread bytes make the kernel answer the rest of the upload with a reset.
      // The gateway, on the same event loop, has a turn to hear the answer: of what is unread, kernels may drop it together with the connection.
      setImmediate(() => setImmediate(() => setImmediate(() => socket.destroy())))
      socket.pause()
    })
  })
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void backend.close())
  const { port } = await startEdge([(backend.address() as AddressInfo).port])
  let told = 0
  for (let round = 0; round < 30; round++) {
    const upload = call(port, head("POST / HTTP/1.1", "Content-Length: 20000000"))
    const chunk = Buffer.alloc(1_000_000)
    for (let sent = 0; sent < 20 && upload.socket.writable; sent++) upload.socket.write(chunk)
    await upload.closed
    if (/^HTTP\/1\.1 413 [\s\S]*too much$/.test(upload.text())) told++
    else expect(upload.text()).toMatch(/^HTTP\/1\.1 502 /)
  }
  expect(told).toBeGreaterThanOrEqual(27)
})

it("who expects 100 Continue is not asked for a body while nobody could take it", async () => {
  const { port } = await startEdge([])
  const caller = call(port, head("POST / HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"))
  await expect.poll(() => caller.text()).toMatch(/^HTTP\/1\.1 503 /)
  expect(caller.text()).not.toContain("100 Continue")
})

it("GET with a body passes only for the host whose route allows it", async () => {
  const backend = await httpBackend((_request, response) => response.end("ok"))
  const source = createStaticSource("test")
  source.set("a", [fakeInstance("a", backend)], 0)
  const pool = createPool({ service: "a", source })
  const routes: RouteSettings[] = [
    { match: "prefix", path: "/", service: "a", host: "search.test", allowGetBody: true },
    { match: "prefix", path: "/", service: "a" },
  ]
  const gateway = createGateway({ routes, pool: () => pool })
  onTestFinished(async () => {
    await gateway.close({ graceMs: 0 })
    await pool.close()
  })
  const { port } = await gateway.listen({ host: "127.0.0.1", port: 0 })
  const statusOf = async (host: string): Promise<string> => {
    const caller = call(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`)
    await caller.closed
    return caller.text().slice(9, 12)
  }
  expect([await statusOf("search.test"), await statusOf("other.test")]).toEqual(["200", "400"])
})

it("callers that send too slowly or leave too little time open no breaker", async () => {
  const backend = await httpBackend((request, response) => {
    request.resume()
    if (request.url === "/never") return
    request.on("end", () => response.end("ok"))
  })
  const source = createStaticSource("test")
  source.set("a", [fakeInstance("a", backend)], 0)
  const pool = createPool({ service: "a", source, circuitBreaker: circuitBreaker({ minimumThroughput: 1 }) })
  const gateway = createGateway({ routes: [{ match: "prefix", path: "/", service: "a", timeoutMs: 300 }], pool: () => pool })
  onTestFinished(async () => {
    await gateway.close({ graceMs: 0 })
    await pool.close()
  })
  const { port } = await gateway.listen({ host: "127.0.0.1", port: 0 })
  const slow = Array.from({ length: 6 }, () => call(port, `${head("POST / HTTP/1.1", "Content-Length: 1000000")}abc`))
  const hasty = Array.from({ length: 6 }, () => call(port, head("GET /never HTTP/1.1", "X-Request-Timeout: 0.02", "Connection: close")))
  await Promise.all([...slow, ...hasty].map(({ closed }) => closed))
  expect(slow.map((each) => each.text().slice(9, 12))).toEqual(Array(6).fill("408"))
  expect(hasty.map((each) => each.text().slice(9, 12))).toEqual(Array(6).fill("408"))
  expect(pool.candidates()[0]?.breaker).toBe("closed")
  const late = call(port, head("GET /never HTTP/1.1", "Connection: close"))
  await late.closed
  expect([late.text().slice(9, 12), pool.candidates()[0]?.breaker]).toEqual(["504", "open"])
})
