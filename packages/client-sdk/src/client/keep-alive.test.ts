import { createServer, type Socket } from "node:net"
import type { AddressInfo } from "node:net"
import { expect, it, onTestFinished } from "vitest"
import { single } from "../strategies/strategy.ts"
import { eventually, loopbackServer } from "../testing/loopback-server.ts"
import { createClient } from "./fixed-endpoint.ts"

const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

/** A server that treats its n-th request (from 1, over all connections) as told. */
async function scripted(onRequest: (socket: Socket, request: number) => void): Promise<{ url: string; requests: () => number }> {
  let requests = 0
  const server = createServer((socket) => {
    socket.on("error", () => {})
    socket.on("data", () => onRequest(socket, ++requests))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests: () => requests }
}

/** undici uses a connection again one turn of the loop after its last answer. */
const nextTurn = () => new Promise((resolve) => setTimeout(resolve, 5))

function client(endpoint: string) {
  const made = createClient({ endpoint, strategy: single() })
  onTestFinished(() => made.close())
  return made
}

it.each([
  ["closed", (socket: Socket) => void socket.destroy()],
  ["reset", (socket: Socket) => void socket.resetAndDestroy()],
])("a kept-alive connection that is %s before it answers is replaced once, in silence", async (_title, end) => {
  const { url, requests } = await scripted((socket, request) => (request === 2 ? end(socket) : socket.write(ok)))
  const made = client(url)
  expect(await (await made.get("/")).text()).toBe("ok")
  await nextTurn()
  const second = await made.get("/")
  expect([await second.text(), second.attempts, requests()]).toEqual(["ok", 1, 3])
})

it("a POST on it is not sent again, unless it is idempotent", async () => {
  const { url, requests } = await scripted((socket, request) => (request % 2 === 0 ? void socket.destroy() : socket.write(ok)))
  const made = client(url)
  await (await made.get("/")).text()
  await nextTurn()
  await expect(made.post("/", { body: "x" })).rejects.toMatchObject({ code: "upstream_reset" })
  expect(requests()).toBe(2)
  await (await made.get("/")).text()
  await nextTurn()
  expect((await made.post("/", { body: "x", idempotent: true })).status).toBe(200)
  expect(requests()).toBe(5)
})

it("a new connection that ends before it answers is told, not repeated", async () => {
  const { url, requests } = await scripted((socket) => void socket.destroy())
  await expect(client(url).get("/")).rejects.toMatchObject({ code: "upstream_reset" })
  expect(requests()).toBe(1)
})

it("reuses one connection for calls in turn, rejected answers and unread ones included", async () => {
  let connections = 0
  const { url, server } = await loopbackServer((request, response) => response.writeHead(request.url === "/500" ? 500 : 200).end("x".repeat(30_000)))
  server.on("connection", () => connections++)
  const made = client(url)
  for (let call = 0; call < 5; call++) {
    await (await made.get("/500")).text()
    const unread = await made.get("/")
    await unread[Symbol.asyncDispose]()
    await eventually(async () => expect((await (await made.get("/")).bytes()).length).toBe(30_000))
  }
  expect(connections).toBeLessThanOrEqual(2)
})

it("gives up the connection of a long answer that nobody reads", async () => {
  let closed = false
  const { url } = await loopbackServer((_request, response) => {
    response.on("close", () => (closed = true))
    response.writeHead(200).write("x".repeat(1000))
  })
  await using response = await client(url).get("/")
  expect(response.status).toBe(200)
  await response[Symbol.asyncDispose]()
  await eventually(() => expect(closed).toBe(true))
})

it("streams with back pressure, and cuts a stream that is idle for too long", async () => {
  const { url } = await loopbackServer((request, response) => {
    if (request.url === "/idle") return void response.writeHead(200).write("half")
    response.writeHead(200)
    for (let chunk = 0; chunk < 64; chunk++) response.write(Buffer.alloc(64 * 1024, chunk))
    response.end()
  })
  const made = createClient({ endpoint: url, strategy: single(), idleTimeoutMs: 100 })
  onTestFinished(() => made.close())
  const { body } = await made.get("/")
  await new Promise((resolve) => setTimeout(resolve, 250))
  expect(body.readableLength).toBeLessThan(1024 * 1024)
  let size = 0
  for await (const chunk of body) size += (chunk as Buffer).length
  expect(size).toBe(64 * 64 * 1024)
  const idle = await made.get("/idle")
  await expect(idle.bytes()).rejects.toMatchObject({ code: "upstream_reset" })
})
