import { createServer } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { createPool, createStaticSource } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { expect, it, onTestFinished } from "vitest"
import { createGateway } from "./index.ts"

async function edge(prefix = "/") {
  const server = createServer((request, response) => response.end(request.url))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const source = createStaticSource("test")
  source.set("a", [fakeInstance("a", (server.address() as AddressInfo).port)], 0)
  const pool = createPool({ service: "a", source })
  const gateway = createGateway({ routes: [{ match: "prefix", path: prefix, service: "a" }], pool: () => pool })
  onTestFinished(async () => {
    await gateway.close({ graceMs: 0 })
    await pool.close()
    server.closeAllConnections()
    server.close()
  })
  return { gateway, port: (await gateway.listen({ host: "127.0.0.1", port: 0 })).port }
}

async function caller(port: number) {
  const socket = connect(port, "127.0.0.1")
  onTestFinished(() => void socket.destroy())
  let text = ""
  socket.on("data", (chunk) => (text += chunk.toString("latin1"))).on("error", () => {})
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
  const get = async (path: string, until = path): Promise<string> => {
    text = ""
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    await expect.poll(() => text).toContain(until)
    return text.toLowerCase()
  }
  return { get, closed }
}

it("a request on an idle connection is still answered when the gateway closes, and told that the connection ends", async () => {
  const { gateway, port } = await edge()
  const { get, closed } = await caller(port)
  expect(await get("/before")).not.toContain("connection: close")
  const closing = gateway.close()
  await expect.poll(() => gateway.server.listening).toBe(false)
  const late = connect(port, "127.0.0.1")
  expect(await new Promise((resolve) => late.once("error", (error: NodeJS.ErrnoException) => resolve(error.code)))).toBe("ECONNREFUSED")
  const answer = await get("/after")
  expect(answer).toMatch(/^http\/1\.1 200 /)
  expect(answer).toContain("connection: close")
  await Promise.all([closed, closing])
})

it("nobody is told to come on another connection while the port is still open", async () => {
  const { gateway, port } = await edge("/a")
  const { get, closed } = await caller(port)
  let open: boolean | undefined
  gateway.server.prependOnceListener("request", () => {
    void gateway.close()
    open = gateway.server.listening
  })
  // No route: answered within the turn of the loop in which closing began.
  expect(await get("/b", " 404 ")).not.toContain("connection: close")
  expect(open).toBe(true)
  await closed
})

it("closing waits for idle connections only for a moment, and not at all where there are none", async () => {
  const { gateway, port } = await edge()
  const { get, closed } = await caller(port)
  await get("/x")
  const begin = performance.now()
  await gateway.close()
  await closed
  expect(performance.now() - begin).toBeLessThan(4000)
  const times: number[] = []
  for (let turn = 0; turn < 5; turn++) {
    const empty = await edge()
    const now = performance.now()
    await empty.gateway.close()
    times.push(performance.now() - now)
  }
  // A busy machine delays some of them; whoever waits for nobody delays all.
  expect(Math.min(...times)).toBeLessThan(450)
})

it("a gateway that never listened closes", async () => {
  const gateway = createGateway({ routes: [], pool: () => createPool({ service: "a", source: createStaticSource("none") }) })
  await gateway.close()
})
