import type { IncomingMessage } from "node:http"
import { connect } from "node:net"
import { expect, it } from "vitest"
import { httpBackend, startEdge } from "./testing/edge.ts"

/** Sends bytes on a connection of their own and resolves with everything that came back. */
function say(port: number, ...lines: string[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    let text = ""
    socket.on("data", (chunk) => (text += chunk.toString("latin1"))).on("error", () => {})
    socket.on("close", () => resolve(text))
    socket.write(`${[...lines, "Host: e.test", "Connection: close"].join("\r\n")}\r\n\r\n`)
  })
}

const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

it("tells of each request once: route, instance, attempts and time, and nothing of its query or headers", async () => {
  const backend = await httpBackend((_request, response) => setTimeout(() => response.writeHead(201).end("x"), 30))
  const { port, entries } = await startEdge([backend, 9], {}, { path: "/a" })
  const secrets = ["Authorization: Bearer secret", "Cookie: secret", `Traceparent: ${trace}`, "X-Request-Priority: LOW"]
  for (let call = 0; call < 4; call++) await say(port, "GET /a/1?token=secret HTTP/1.1", ...secrets)
  expect(entries).toHaveLength(4)
  expect(entries.map(({ ms: _, attempts: __, ...entry }) => entry)).toEqual(
    Array.from({ length: 4 }, () => ({
      method: "GET",
      host: "e.test",
      path: "/a/1",
      status: 201,
      route: "/a/*",
      service: "a",
      instance: `127.0.0.1:${backend}`,
      client: "127.0.0.1",
      priority: "low",
      trace: "0af7651916cd43dd8448eb211c80319c",
    })),
  )
  for (const { ms, attempts } of entries) {
    expect(ms).toBeGreaterThan(25)
    expect([1, 2]).toContain(attempts)
  }
  expect(JSON.stringify(entries)).not.toContain("secret")
})

it("tells of requests that never get to an instance, and of callers who go away", async () => {
  const reached: IncomingMessage[] = []
  const backend = await httpBackend((request) => void reached.push(request))
  const { port, entries } = await startEdge([backend], { defaultResponse: { statusCode: 403, body: "no" } }, { path: "/a" })
  await say(port, "GET /nowhere HTTP/1.1")
  await say(port, "GET /a/../b HTTP/1.1", `Traceparent: nonsense`)
  const socket = connect(port, "127.0.0.1", () => socket.write("GET /a/slow HTTP/1.1\r\nHost: e.test\r\n\r\n"))
  await expect.poll(() => reached.length).toBe(1)
  socket.destroy()
  await expect.poll(() => entries.length).toBe(3)
  expect(entries.map(({ status, route, instance, path }) => [status, route, instance, path])).toEqual([
    [403, null, null, "/nowhere"],
    [400, null, null, "/a/../b"],
    [499, "/a/*", `127.0.0.1:${backend}`, "/a/slow"],
  ])
})

it("passes traceparent and tracestate on as they are, and makes none up", async () => {
  const backend = await httpBackend((request, response) => response.end(JSON.stringify(request.headers)))
  const { port } = await startEdge([backend], {}, { path: "/a" })
  const head = async (...lines: string[]) => JSON.parse((await say(port, "GET /a HTTP/1.1", ...lines)).split("\r\n\r\n")[1] ?? "") as object
  expect(await head(`traceparent: ${trace}`, "tracestate: a=1,b=2")).toMatchObject({ traceparent: trace, tracestate: "a=1,b=2" })
  expect(Object.keys(await head())).not.toContain("traceparent")
})

it("says in Server-Timing where the time went, where it is asked to, beside what the backend says", async () => {
  const backend = await httpBackend((_request, response) => setTimeout(() => response.writeHead(200, { "Server-Timing": "db;dur=1" }).end(), 40))
  const asked = await startEdge([backend], { serverTiming: true }, { path: "/a" })
  const times: number[] = []
  for (let call = 0; call < 5; call++) {
    const answer = await say(asked.port, "GET /a HTTP/1.1")
    expect(answer).toContain("Server-Timing: db;dur=1\r\n")
    const [, own = "", upstream = ""] = /^server-timing: gateway;dur=([\d.]+), upstream;dur=([\d.]+)\r$/m.exec(answer) ?? []
    expect(Number(upstream)).toBeGreaterThanOrEqual(35)
    times.push(Number(own))
  }
  // A busy machine makes some of them long; the backend's time, were it in them, all.
  expect(Math.min(...times)).toBeLessThan(35)
  const { port } = await startEdge([backend], {}, { path: "/a" })
  expect(await say(port, "GET /a HTTP/1.1")).not.toContain("gateway;dur")
})

it("says in Server-Timing how long an answer of its own took, and how many attempts", async () => {
  const slow = await httpBackend(() => {})
  const late = await startEdge([slow], { serverTiming: true }, { path: "/a", timeoutMs: 60 })
  expect(await say(late.port, "GET /a HTTP/1.1")).toMatch(/^HTTP\/1\.1 504 [\s\S]*server-timing: gateway;dur=[\d.]+, upstream;dur=[\d.]+\r\n/)
  const resetting = await httpBackend((request) => request.socket.destroy())
  const lost = await startEdge([resetting, await httpBackend((request) => request.socket.destroy())], { serverTiming: true }, { path: "/a" })
  expect(await say(lost.port, "GET /a HTTP/1.1")).toMatch(/^HTTP\/1\.1 502 [\s\S]*, attempts;desc="2"\r\n/)
  const none = await startEdge([], { serverTiming: true }, { path: "/a" })
  expect(await say(none.port, "GET /a HTTP/1.1")).toMatch(/^HTTP\/1\.1 503 [\s\S]*server-timing: gateway;dur=[\d.]+\r\n/)
})
