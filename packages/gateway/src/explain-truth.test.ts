import { createServer } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { balancers, createPool, createStaticSource, type Pool } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import type { Instance } from "@meshwork/contract"
import { seededRandom } from "@meshwork/contract/testing"
import { expect, it, onTestFinished } from "vitest"
import { createGateway, type RouteSettings } from "./index.ts"

const rounds = 1000
const services = ["s0", "s1", "s2", "s3"] as const
const random = seededRandom(20)
const any = <const T>(list: readonly [T, ...T[]]): T => list[Math.floor(random() * list.length)] ?? list[0]
const upTo = (count: number): number => Math.floor(random() * (count + 1))

const path = (): string => `/${Array.from({ length: upTo(3) }, () => any(["a", "b", "ab", "", "%2F", "a.b"])).join("/")}`

function randomRoutes(): RouteSettings[] {
  return Array.from({ length: 1 + upTo(11) }, (_, index): RouteSettings => {
    const match = any(["exact", "exact-or-slash", "prefix"])
    return {
      name: `route ${index}`,
      match,
      path: path(),
      service: any(services),
      balancer: any(["p2c", "random", "round-robin", "least-requests", "availability"]),
      ...(match === "prefix" && random() < 0.3 ? { stripPrefix: true } : {}),
      ...(random() < 0.3 ? { host: any(["x.test", "y.test"]) } : {}),
      ...(random() < 0.3 ? { methods: [any(["GET", "POST"])] } : {}),
    }
  })
}

function randomInstances(service: string, ports: readonly number[]): Instance[] {
  return ports
    .filter(() => random() < 0.4)
    .map((port) => {
      const failing = random() < 0.3
      return fakeInstance(service, port, {
        priority: any(["high", "med", "low"]),
        weight: 1,
        standing: failing ? "out" : any(["serving", "serving", "serving", "suspect", "draining", "out"]),
        health: { status: failing ? "failing" : "passing", since: 0, reason: "", by: "", availability: any([1, 0.95, 0.5]) },
      })
    })
}

async function backends(count: number): Promise<number[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer((request, response) => response.end(JSON.stringify({ port, path: request.url })))
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const { port } = server.address() as AddressInfo
      onTestFinished(() => {
        server.closeAllConnections()
        server.close()
      })
      return port
    }),
  )
}

interface Answer {
  status: number
  port?: number
  path?: string
}

/** One connection for all requests: what is asked goes out byte for byte. */
function caller(port: number): (request: { method: string; host: string; path: string }) => Promise<Answer> {
  const socket = connect(port, "127.0.0.1").setNoDelay()
  onTestFinished(() => void socket.destroy())
  let text = ""
  let heard: () => void = () => {}
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1")
    heard()
  })
  return async ({ method, host, path: target }) => {
    text = ""
    socket.write(`${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`)
    for (;;) {
      const body = /\r\n\r\n(\{.*\})(?:\r\n0\r\n\r\n)?$/s.exec(text.replace(/\r\n[0-9a-f]+\r\n(?=\{)/, "\r\n"))?.[1]
      if (body !== undefined) return { status: Number(text.slice(9, 12)), ...(JSON.parse(body) as Omit<Answer, "status">) }
      await new Promise<void>((resolve) => (heard = resolve))
    }
  }
}

it("names the route, the path and the instances that the data plane then uses, for a thousand random route files", { timeout: 180_000 }, async () => {
  const ports = await backends(8)
  const source = createStaticSource("test")
  const pools = new Map<string, Pool>()
  const gateway = createGateway({
    routes: [],
    pool: ({ service, balancer = "p2c" }) => {
      const key = `${service} ${balancer}`
      const pool = pools.get(key) ?? createPool({ service, source, random, ...(balancers[balancer] ? { balancer: balancers[balancer] } : {}) })
      pools.set(key, pool)
      return pool
    },
  })
  const { port } = await gateway.listen({ host: "127.0.0.1", port: 0 })
  onTestFinished(async () => {
    await gateway.close({ graceMs: 0 })
    await Promise.all([...pools.values()].map((pool) => pool.close()))
  })
  const call = caller(port)
  const seen = { none: 0, unavailable: 0, one: 0, several: 0 }
  for (let round = 1; round <= rounds; round++) {
    const routes = randomRoutes()
    for (const service of services) source.set(service, randomInstances(service, ports), round)
    gateway.setRoutes(routes)
    while ([...pools.values()].some((pool) => pool.state?.at !== round)) await new Promise((resolve) => setImmediate(resolve))
    for (let index = 0; index < 3; index++) {
      const request = { method: any(["GET", "POST", "PUT"]), host: any(["x.test", "y.test", "z.test"]), path: path() }
      const told = gateway.explain(request)
      const eligible = (told.instances ?? []).filter((instance) => instance.eligible).map(({ address }) => address)
      const context = JSON.stringify({ round, request, told, routes })
      const turns = told.route === null ? 1 : Math.max(1, eligible.length)
      const used = new Set<string>()
      for (let turn = 0; turn < turns; turn++) {
        const answer = await call(request)
        expect(answer.status, context).toBe(told.route === null ? 404 : eligible.length === 0 ? 503 : 200)
        if (answer.status !== 200) continue
        expect(answer.path, context).toBe(told.upstream_path)
        expect(eligible, context).toContain(`127.0.0.1:${answer.port}`)
        used.add(`127.0.0.1:${answer.port}`)
      }
      const balancer = gateway.routes.find(({ name }) => name === told.route)?.balancer
      // These two take them in turn, so that none of those named is left out.
      if (balancer === "round-robin" || balancer === "availability") expect(used.size, context).toBe(eligible.length)
      expect(gateway.inFlight).toBe(0)
      seen[told.route === null ? "none" : eligible.length === 0 ? "unavailable" : eligible.length === 1 ? "one" : "several"]++
    }
  }
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(100)
})
