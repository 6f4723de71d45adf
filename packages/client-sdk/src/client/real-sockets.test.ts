import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { expect, it, onTestFinished } from "vitest"
import { constantDelay } from "../delays/delay.ts"
import { parallel, sequential, single } from "../strategies/strategy.ts"
import { eventually, loopbackServer } from "../testing/loopback-server.ts"
import type { ClientOptions } from "./client-options.ts"
import { createClient } from "./fixed-endpoint.ts"

function client(endpoint: string, options: ClientOptions = {}) {
  const made = createClient({ endpoint, ...options })
  onTestFinished(() => made.close())
  return made
}

async function rawServer(answer: string): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => {})
    socket.once("data", () => (answer === "" ? socket.destroy() : socket.end(answer)))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

it("sends and reads, joined to the endpoint's path", async () => {
  const { url } = await loopbackServer(async (request, response) => {
    let body = ""
    for await (const chunk of request) body += String(chunk)
    response.setHeader("content-type", "application/json; charset=utf-8")
    response.end(JSON.stringify({ method: request.method, url: request.url, type: request.headers["content-type"], body }))
  })
  const response = await client(`${url}/base/`).post("orders", { json: { a: "ü" }, query: { q: "x y" } })
  expect([response.status, response.ok, response.attempts, response.endpoint]).toEqual([200, true, 1, new URL(url).host])
  expect(await response.json()).toEqual({ method: "POST", url: "/base/orders?q=x+y", type: "application/json", body: '{"a":"ü"}' })
})

it.each([
  ["text/html", "{}", "invalid_request"],
  ["application/json", "{", "invalid_request"],
])("json() refuses %s with %s", async (type, body, code) => {
  const { url } = await loopbackServer((_request, response) => response.setHeader("content-type", type).end(body))
  await expect((await client(url).get("/")).json()).rejects.toMatchObject({ code })
})

it("json() of an empty body is null, and of any type on demand", async () => {
  const { url } = await loopbackServer((request, response) => response.end(request.url === "/empty" ? "" : "[1]"))
  expect(await (await client(url).get("/empty")).json()).toBeNull()
  expect(await (await client(url).get("/")).json({ anyType: true })).toEqual([1])
})

it("tells apart what was never sent, what was reset, and what took too long", async () => {
  const closed = await loopbackServer(() => {})
  closed.stop()
  await expect(client(closed.url, { strategy: single() }).get("/")).rejects.toMatchObject({ code: "connection_failed" })
  await expect(client(await rawServer(""), { strategy: single() }).get("/")).rejects.toMatchObject({ code: "upstream_reset" })
  await expect(client(await rawServer("no HTTP\r\n\r\n"), { strategy: single() }).get("/")).rejects.toMatchObject({ code: "upstream_reset" })
  const { url } = await loopbackServer(() => {})
  await expect(client(url, { strategy: single(), timeoutMs: 50 }).get("/")).rejects.toMatchObject({ code: "deadline_exceeded" })
})

it("a body broken off, or later than the deadline, never looks complete", async () => {
  const cut = await rawServer("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
  await expect((await client(cut).get("/")).text()).rejects.toMatchObject({ code: "upstream_reset" })
  const { url } = await loopbackServer((_request, response) => void response.writeHead(200).write("half"))
  await expect((await client(url).get("/", { timeoutMs: 100 })).text()).rejects.toMatchObject({ code: "deadline_exceeded" })
})

it("tries again after a reset, and leaves no connection behind for each attempt", async () => {
  let calls = 0
  const { url, server } = await loopbackServer((request, response) => {
    calls++
    if (calls === 1) request.socket.destroy()
    else response.writeHead(calls === 2 ? 500 : 200).end("x".repeat(100_000))
  })
  const response = await client(url, { strategy: sequential({ delay: constantDelay(0) }) }).get("/")
  expect([response.status, response.attempts, (await response.text()).length]).toEqual([200, 3, 100_000])
  await eventually(
    () =>
      new Promise<void>((resolve, reject) =>
        server.getConnections((_error, open) => (open <= 2 ? resolve() : reject(new Error(`${open} connections`)))),
      ),
  )
})

it("an abort reaches the server in the middle of a call", async () => {
  let closed = false
  const { url } = await loopbackServer((_request, response) => response.on("close", () => (closed = true)))
  const controller = new AbortController()
  const call = client(url).get("/", { signal: controller.signal })
  setTimeout(() => controller.abort(), 50)
  await expect(call).rejects.toMatchObject({ code: "aborted" })
  await eventually(() => expect(closed).toBe(true))
})

it.each([{ "transfer-encoding": "chunked" }, { "x-a": "1\r\nx-b: 2" }, { "bad name": "1" }, { upgrade: "h2c" }])(
  "headers that cannot be sent are told, not tried elsewhere: %j",
  async (headers: Record<string, string>) => {
    let requests = 0
    const { url } = await loopbackServer((_request, response) => {
      requests++
      response.end()
    })
    await expect(client(url).get("/", { headers })).rejects.toMatchObject({ code: "invalid_request" })
    expect(requests).toBe(0)
  },
)

it("closing the client ends what is under way", async () => {
  const { url } = await loopbackServer(() => {})
  const made = client(url)
  const ended = expect(made.get("/")).rejects.toMatchObject({ code: "aborted" })
  await new Promise((resolve) => setTimeout(resolve, 50))
  await made.close()
  await ended
  await expect(made.get("/")).rejects.toMatchObject({ code: "aborted" })
})

it("a hedge that wins leaves no request of the loser running", async () => {
  const closed: number[] = []
  let requests = 0
  const { url } = await loopbackServer((_request, response) => {
    const own = ++requests
    response.on("close", () => closed.push(own))
    if (own === 2) response.end("second")
  })
  const response = await client(url, { strategy: parallel({ delay: constantDelay(20) }) }).get("/")
  expect([await response.text(), response.attempts]).toEqual(["second", 2])
  await eventually(() => expect(closed.toSorted()).toEqual([1, 2]))
})

it("an endpoint that is a function may move between calls", async () => {
  const [one, two] = [
    await loopbackServer((_request, response) => response.end("one")),
    await loopbackServer((_request, response) => response.end("two")),
  ]
  let endpoint = one.url
  const made = createClient({ endpoint: () => endpoint })
  onTestFinished(() => made.close())
  expect(await (await made.get("/")).text()).toBe("one")
  endpoint = two.url
  expect(await (await made.get("/")).text()).toBe("two")
})

it.each(["", "nowhere", "ftp://a/"])("refuses the endpoint %j", (endpoint) => {
  expect(() => createClient({ endpoint })).toThrow(/http or https URL/)
})
