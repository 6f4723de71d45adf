import { Agent, createServer, request, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { createPool, createStaticSource, type Pool } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { afterEach, expect, it } from "vitest"
import { createGateway, type RouteSettings } from "./index.ts"

const closers: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

it("routes change while requests are under way, which end as they began", async () => {
  let release: () => void = () => {}
  const backend: Server = createServer((request, response) => {
    if (request.url === "/slow/x") release = () => response.end("slow")
    else response.end(request.url)
  })
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve))
  closers.push(() => void backend.close())
  const source = createStaticSource("test")
  source.set("a", [fakeInstance("a", (backend.address() as AddressInfo).port)], 0)
  const pools: Pool[] = []
  const route = (path: string): RouteSettings => ({ match: "prefix", path, service: "a" })
  const gateway = createGateway({
    routes: [route("/slow")],
    pool: () => {
      const pool = createPool({ service: "a", source })
      pools.push(pool)
      return pool
    },
    moreStats: () => ({ more: 7 }),
    settings: { statsPath: "/stats" },
  })
  const { port } = await gateway.listen({ host: "127.0.0.1", port: 0 })
  closers.push(
    () => Promise.all(pools.map((pool) => pool.close())),
    () => gateway.close({ graceMs: 200 }),
  )
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: response.status, text: await response.text() }
  }

  const slow = get("/slow/x")
  while (gateway.inFlight === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  expect((await get("/new")).status).toBe(404)
  gateway.setRoutes([route("/new")])
  expect(gateway.routes.map(({ path }) => path)).toEqual(["/new"])
  expect(await get("/new/1")).toEqual({ status: 200, text: "/new/1" })
  expect((await get("/slow/x")).status).toBe(404)
  while (gateway.inFlight === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  release()
  expect(await slow).toEqual({ status: 200, text: "slow" })
  gateway.setRoutes([])
  expect((await get("/new/1")).status).toBe(404)
  const stats = JSON.parse((await get("/stats")).text) as object
  expect(stats).toMatchObject({ requests_count: { success: 2, error: 3 }, routes: {}, more: 7 })
})

it("who is believed changes for connections that are open too", async () => {
  const backend: Server = createServer(({ headers }, response) => response.end(`${headers["x-forwarded-for"]} ${headers["x-service-name"]}`))
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve))
  const source = createStaticSource("test")
  source.set("a", [fakeInstance("a", (backend.address() as AddressInfo).port)], 0)
  const pool = createPool({ service: "a", source })
  const routes: RouteSettings[] = [{ match: "prefix", path: "/", service: "a" }]
  const gateway = createGateway({ routes, pool: () => pool, settings: { trustedProxies: ["127.0.0.1"] } })
  const { port } = await gateway.listen({ host: "127.0.0.1", port: 0 })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  closers.push(
    () => void backend.close(),
    () => pool.close(),
    () => gateway.close({ graceMs: 200 }),
    () => agent.destroy(),
  )
  let connections = 0
  gateway.server.on("connection", () => connections++)
  const headers = { "x-forwarded-for": "203.0.113.7", "x-service-name": "shop" }
  const get = () =>
    new Promise<string>((resolve, reject) => {
      request({ port, agent, headers }, (answer) => void answer.setEncoding("utf8").on("data", resolve))
        .on("error", reject)
        .end()
    })
  expect(await get()).toBe("203.0.113.7, 127.0.0.1 shop")
  gateway.setRoutes(routes, { meshPeers: ["10.0.0.0/8"] })
  expect(await get()).toBe("127.0.0.1 undefined")
  gateway.setRoutes(routes, { trustedProxies: ["127.0.0.0/8"] })
  expect(await get()).toBe("203.0.113.7, 127.0.0.1 shop")
  expect(connections).toBe(1)
})
