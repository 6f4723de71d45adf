import { connect, type Socket } from "node:net"
import { problemContentType, problemSchema } from "@meshwork/contract"
import { describe, expect, it, onTestFinished, test } from "vitest"
import { startServer } from "./testing/server-bench.ts"

const instance = "/v1/services/payment/instances/a"
const good = { host: "10.0.0.7", port: 9000 }
const tags = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`tag${n}`, "x"]))

describe("a body that is refused", () => {
  test.each([
    { what: "unknown fields, each by name", body: { ...good, prot: 1, zoned: "x" }, detail: "body: prot: unknown field; zoned: unknown field" },
    { what: "a bad port", body: { host: "10.0.0.7", port: 70_000 }, detail: /^body: port: / },
    { what: "several mistakes at once", body: { host: "a b", port: 0, ttlSeconds: 1 }, detail: /host: .*port: .*ttlSeconds: / },
    {
      what: "an unknown field within the check",
      body: { ...good, check: { method: "http", pathh: "/" } },
      detail: "body: check.pathh: unknown field",
    },
    { what: "no body at all", body: "", detail: /^body: / },
    { what: "null", body: "null", detail: /^body: / },
    { what: "an array", body: [], detail: /^body: / },
    { what: "broken JSON", body: '{"host":', detail: /^the body is not JSON: / },
    { what: "deep JSON", body: `{"tags":${'{"a":'.repeat(20_000)}`, detail: /deeper than 64/ },
    { what: "a __proto__ key", body: '{"host":"10.0.0.7","port":9000,"tags":{"__proto__":{"x":1}}}', detail: /^tags\.__proto__: / },
    { what: "10,000 tags", body: { ...good, tags: tags(10_000) }, detail: "body: tags: must be at most 16 KiB as JSON" },
    { what: "a NUL in a host", body: { host: "a\0b", port: 1 }, detail: /^body: host: must be a DNS name/ },
    { what: "thousands of unknown fields, within reason", body: { ...good, ...tags(5000) }, detail: /; and 4950 more$/ },
  ])("$what", async ({ body, detail }) => {
    const { call } = await startServer()
    const reply = await call(instance, { method: "PUT", body })
    expect(reply.status).toBe(400)
    expect(reply.headers.get("content-type")).toContain(problemContentType)
    expect(problemSchema.parse(reply.json)).toMatchObject({ type: "urn:meshwork:error:invalid_request", code: "invalid_request", status: 400 })
    expect(reply.json.detail).toEqual(typeof detail === "string" ? detail : expect.stringMatching(detail))
    expect(reply.text).not.toMatch(/node_modules|\.ts:|\.js:/)
    expect((await call("/v1/services")).json).toMatchObject({ revision: 0, services: [] })
  })

  it("lists every issue with its path", async () => {
    const { call } = await startServer()
    const reply = await call(instance, { method: "PUT", body: { ...good, port: "x", zones: 1 } })
    expect(reply.json.issues).toEqual([
      { path: "port", message: expect.stringMatching(/number/) },
      { path: "zones", message: "unknown field" },
    ])
  })

  it("larger than 256 KiB, announced or not", async () => {
    const { call } = await startServer()
    const body = JSON.stringify({ ...good, tags: { a: "x".repeat(10 * 1024 * 1024) } })
    expect(await call(instance, { method: "PUT", body })).toMatchObject({
      status: 413,
      json: { code: "payload_too_large", detail: "the body is larger than 256 KiB" },
    })
    expect(await call(instance, { method: "PUT", body: body.slice(0, 300_000) })).toMatchObject({ status: 413 })
    expect(await call("/health")).toMatchObject({ status: 200 })
  })

  it("of another content type", async () => {
    const { call } = await startServer()
    const reply = await call(instance, { method: "PUT", body: "host=10.0.0.7", headers: { "content-type": "application/x-www-form-urlencoded" } })
    expect(reply.json).toMatchObject({ code: "invalid_request", detail: expect.stringContaining("content-type: application/json") })
  })
})

describe("a path", () => {
  test.each([
    { path: "/v1/services/%ff/instances", says: /percent-encoded/ },
    { path: "/v1/services/%/instances", says: /percent-encoded/ },
    { path: "/v1/services/a%2Fb/instances", says: /^path: service: / },
    { path: "/v1/services/a%00b/instances", says: /^path: service: / },
    { path: "/v1/services/%2e%2e%20/instances", says: /^path: service: / },
    { path: `/v1/services/${"a".repeat(129)}/instances`, says: /^path: service: / },
    { path: `/v1/services/${"a".repeat(6000)}/instances`, says: /too long/ },
    { path: "/v1/watch?services=a", says: /^query: services: unknown field/ },
    { path: "/v1/services?x=1", says: /^query: x: unknown field/ },
    { path: "/v1/journal?limit=0", says: /^query: limit: / },
    { path: "/v1/services/a/instances?standing=up", says: /^query: standing: / },
  ])("$path is refused with a sentence", async ({ path, says }) => {
    const { call } = await startServer()
    expect((await call(path)).json).toMatchObject({ code: "invalid_request", status: 400, detail: expect.stringMatching(says) })
  })

  test.each(["/", "/v1", "/v1/services/", "/nothing?x=1"])("%s does not exist", async (path) => {
    const { call } = await startServer()
    expect((await call(path)).json).toMatchObject({ code: "not_found", status: 404 })
  })

  it("with a wrong method says which ones it takes", async () => {
    const { call } = await startServer()
    const reply = await call(instance, { method: "POST", body: {} })
    expect(reply.json).toMatchObject({ code: "method_not_allowed", status: 405 })
    expect(reply.headers.get("allow")).toBe("DELETE, GET, HEAD, PATCH, PUT")
    expect((await call("/v1/watch", { method: "HEAD" })).status).toBe(405)
  })
})

/** Sends raw bytes and gives back all that comes until the connection ends. */
async function raw(url: string, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1")
  socket.write(bytes)
  let text = ""
  for await (const chunk of socket) text += String(chunk)
  return text
}

describe("a connection", () => {
  test.each([
    { what: "that speaks no HTTP", bytes: "\x16\x03\x01\x02\x00\r\n\r\n", says: "not valid HTTP" },
    { what: "with a NUL in the target", bytes: "GET /v1/serv\0ices HTTP/1.1\r\nHost: x\r\n\r\n", says: "not valid HTTP" },
    { what: "without a Host", bytes: "GET /v1/services HTTP/1.1\r\nConnection: close\r\n\r\n", says: "without a Host header" },
    { what: "with headers without end", bytes: `GET / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(20_000)}`, says: "headers are larger" },
  ])("$what gets a problem body and is closed", async ({ bytes, says }) => {
    const { url, call } = await startServer()
    const answer = await raw(url, bytes)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain(problemContentType)
    expect(answer).toContain(says)
    expect((await call("/health")).status).toBe(200)
  })

  it("of HTTP/1.0 needs no Host", async () => {
    const { url } = await startServer()
    expect(await raw(url, "GET /health HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 /)
  })

  it("that sends its body slowly holds up nobody, and many of them cannot fill the memory", async () => {
    const { url, call } = await startServer()
    const head = `PUT ${instance} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 262144\r\n\r\n{`
    const sockets: Socket[] = []
    const answers: string[] = []
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
    })
    for (let n = 0; n < 600; n++) {
      const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(head))
      socket.on("data", (chunk) => answers.push(String(chunk)))
      socket.on("error", () => {})
      sockets.push(socket)
    }
    await expect.poll(() => answers.length).toBe(600 - 512)
    expect(answers.every((answer) => answer.startsWith("HTTP/1.1 503 ") && /retry-after: 1/i.test(answer))).toBe(true)
    expect(await call(instance, { method: "PUT", body: good })).toMatchObject({ status: 201 })
    for (const socket of sockets) socket.destroy()
    const large = { ...good, tags: { a: "x".repeat(20_000) } }
    await expect.poll(async () => (await call(instance, { method: "PUT", body: large })).json?.code).toBe("invalid_request")
  })
})
