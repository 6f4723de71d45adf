import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type MeshConfigInput, meshConfigSchema, parseConfig } from "@meshwork/config"
import { sampleSummary, ScriptedDocker } from "@meshwork/source-docker/testing"
import { pino } from "pino"
import { afterEach, beforeEach, expect, it } from "vitest"
import { runGateway } from "./index.ts"

const closers: (() => Promise<unknown> | void)[] = []
let folder: string
let socket: string
let docker: ScriptedDocker
let log: string[]

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-gateway-"))
  socket = join(folder, "docker.sock")
  docker = new ScriptedDocker()
  await docker.listen(socket)
  closers.push(() => docker.close())
  log = []
})
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
  rmSync(folder, { recursive: true })
})

async function backend(text: string, healthy: () => boolean = () => true): Promise<number> {
  const server: Server = createServer((request, response) => {
    if (request.url === "/health") response.statusCode = healthy() ? 200 : 500
    response.end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const rgate = `
routes: [{ path_prefix: /api/payment, backend: payment }, { path_prefix: /api/orders, backend: orders }]
default_response: { body: "This is not reachable", status_code: 403 }
backends:
  - { name: payment, match_labels: [app_name=payment, env=production] }
  - { name: orders, match_labels: [app_name=orders] }
`

async function running(text: string | MeshConfigInput, gateway: MeshConfigInput["gateway"] = {}) {
  const loaded = typeof text === "string" ? parseConfig({ text, file: "config.yml" }, { env: {} }) : meshConfigSchema.parse(text)
  const ports = { port: 0, adminPort: 0, discovery: [] }
  const stream = { write: (line: string) => void log.push(line) }
  const started = await runGateway({
    ...loaded,
    gateway: { ...loaded.gateway, ...ports, ...(gateway as object) },
    dataDirectory: folder,
    env: { DOCKER_HOST: `unix://${socket}` },
    log: pino({}, stream),
  })
  closers.push(() => started.close())
  return started
}

async function eventually(attempt: () => Promise<void>): Promise<void> {
  for (const limit = performance.now() + 20_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > limit) throw error
    }
  }
}

const get = async (url: string, headers: Record<string, string> = {}) => {
  const response = await fetch(url, { headers })
  return { status: response.status, text: await response.text(), type: response.headers.get("content-type") }
}
const json = async (url: string): Promise<unknown> => JSON.parse((await get(url)).text)
const production = { app_name: "payment", env: "production" }

it("rgate's file: random instances, its own answers, and statistics on the data port", async () => {
  const ports = [await backend("one"), await backend("two")]
  docker.summaries = ports.map((port, index) => sampleSummary(`payment-${index}`, port, production))
  const { url } = await running(rgate)
  const answers = await Promise.all(Array.from({ length: 60 }, async () => (await get(`${url}/api/payment/x?y=1`)).text))
  for (const text of ["one", "two"]) expect(answers.filter((answer) => answer === text).length).toBeGreaterThan(12)
  expect(await get(`${url}/api/paymentXYZ`)).toEqual({ status: 403, text: "This is not reachable", type: "text/plain; charset=utf-8" })
  const none = await get(`${url}/api/orders`)
  expect([none.status, none.type]).toEqual([503, "application/problem+json"])
  expect(JSON.parse(none.text)).toMatchObject({
    detail: "Backend available but no Service URLs discovered",
    body: "Backend available but no Service URLs discovered",
    status_code: 503,
  })
  for (const accept of ["text/plain", "text/*", "text/html, text/plain;q=0.5"])
    expect((await get(`${url}/api/orders`, { accept })).text).toBe("Backend available but no Service URLs discovered\n")
  for (const accept of ["*/*", "text/html,application/xml;q=0.9,*/*;q=0.8"])
    expect((await get(`${url}/api/orders`, { accept })).type).toBe("application/problem+json")
  const stats = (await json(`${url}/stats`)) as { latency_ms: { p95: number } }
  expect(stats).toMatchObject({
    requests_count: { success: 60, error: 7 },
    routes: { "/api/payment/*": { requests_count: { success: 60, error: 0 } }, "/api/orders/*": { requests_count: { success: 0, error: 6 } } },
    docker: { address: `unix://${socket}`, connected: true, containers: 2, age_ms: expect.any(Number) },
  })
  expect(stats.latency_ms.p95).toBeGreaterThan(0)
})

it("a backend that is down: another one is tried, then 503 with rgate's message; it is used again when it returns", async () => {
  const port = await backend("well")
  docker.summaries = [sampleSummary("down", 9, production), sampleSummary("well", port, production)]
  const { url } = await running(rgate)
  const all = await Promise.all(Array.from({ length: 20 }, () => get(`${url}/api/payment`)))
  expect(all.map(({ text }) => text)).toEqual(Array.from({ length: 20 }, () => "well"))
  docker.summaries = [sampleSummary("down", 9, production)]
  docker.say("die", "x")
  await eventually(async () =>
    expect(JSON.parse((await get(`${url}/api/payment`)).text)).toMatchObject({ status_code: 503, body: "Connection down for the backend" }),
  )
  docker.summaries = [sampleSummary("down", port, production)]
  docker.say("start", "x")
  await eventually(async () => expect((await get(`${url}/api/payment`)).text).toBe("well"))
})

it("Docker away: traffic goes on, and its age shows in statistics, metrics and readiness", async () => {
  docker.summaries = [sampleSummary("one", await backend("one"), production)]
  const { url, adminUrl } = await running(rgate)
  expect((await get(`${url}/api/payment`)).text).toBe("one")
  await docker.close()
  await eventually(async () =>
    expect(await json(`${url}/stats`)).toMatchObject({ docker: { connected: false, problem: expect.stringContaining("Docker at") } }),
  )
  expect((await get(`${url}/api/payment`)).text).toBe("one")
  expect(await json(`${adminUrl}/ready`)).toEqual({ ready: true, reasons: [expect.stringContaining("Docker at unix://")] })
  const metrics = (await get(`${adminUrl}/metrics`)).text
  expect(metrics).toContain("meshwork_gateway_docker_connected 0\n")
  expect(metrics).toMatch(/meshwork_gateway_docker_age_seconds 0\.\d+\n/)
  await eventually(async () => expect(await json(`${adminUrl}/routes`)).toMatchObject({ routes: [{ stale: true }, { stale: true }] }))
})

it("Docker absent at the start: the gateway starts, says so, answers at once, and finds the containers later", async () => {
  await docker.close()
  const times: number[] = []
  let url = ""
  for (let turn = 0; turn < 3; turn++) {
    log.length = 0
    const begin = performance.now()
    url = (await running(rgate)).url
    expect((await get(`${url}/api/payment`)).status).toBe(503)
    times.push(performance.now() - begin)
    expect(log.filter((line) => line.includes("it is tried again for ever"))).toHaveLength(1)
  }
  // A busy machine delays some of them; waiting for Docker, which takes 2 s, delays all.
  expect(Math.min(...times)).toBeLessThan(1500)
  docker = new ScriptedDocker()
  docker.summaries = [sampleSummary("one", await backend("one"), production)]
  await docker.listen(socket)
  await eventually(async () => expect((await get(`${url}/api/payment`)).text).toBe("one"))
})

it("what was known before a restart is used until Docker answers", async () => {
  docker.summaries = [sampleSummary("one", await backend("one"), production)]
  const first = await running(rgate)
  expect((await get(`${first.url}/api/payment`)).text).toBe("one")
  await first.close()
  await docker.close()
  const second = await running(rgate)
  expect((await get(`${second.url}/api/payment`)).text).toBe("one")
  expect(await json(`${second.adminUrl}/routes`)).toMatchObject({ routes: [{ stale: true, instances: [{ standing: "suspect" }] }, {}] })
})

it("native labels make routes without any file, and take them away with the container", async () => {
  const [a, b] = [await backend("a"), await backend("b")]
  const labels = { "meshwork.service": "orders", "meshwork.path_prefix": "/api/orders" }
  const { url, adminUrl } = await running({ routes: [] }, { docker: {} })
  expect((await get(`${url}/api/orders`)).status).toBe(404)
  docker.summaries = [sampleSummary("a", a, labels), sampleSummary("b", b, { ...labels, "meshwork.priority": "low" })]
  docker.say("start", "a")
  await eventually(async () => expect((await get(`${url}/api/orders/1`)).text).toBe("a"))
  expect(await json(`${adminUrl}/routes`)).toMatchObject({ routes: [{ path: "/api/orders", service: "orders", instances: [{}, {}] }] })
  docker.summaries = docker.summaries.slice(1)
  docker.say("die", "a")
  await eventually(async () => expect((await get(`${url}/api/orders/1`)).text).toBe("b"))
  docker.summaries = []
  docker.say("die", "b")
  await eventually(async () => expect((await get(`${url}/api/orders/1`)).status).toBe(404))
  expect(log.filter((line) => line.includes("is gone with its last container"))).toHaveLength(1)
})

it("a route of the file wins over the same one of a label; a service of the file's route may be in containers", async () => {
  const [own, other] = [await backend("own"), await backend("other")]
  docker.summaries = [
    sampleSummary("own", own, { "meshwork.service": "payment" }),
    sampleSummary("other", other, { "meshwork.service": "other", "meshwork.path_prefix": "/pay" }),
  ]
  const routes: MeshConfigInput["routes"] = [{ match: "prefix", path: "/pay", target: { kind: "service", name: "payment" } }]
  const { url, adminUrl } = await running({ routes }, { docker: {} })
  expect((await get(`${url}/pay`)).text).toBe("own")
  expect(((await json(`${adminUrl}/routes`)) as { routes: object[] }).routes).toHaveLength(1)
  await eventually(async () => expect(log.filter((line) => line.includes("the configuration has it for payment"))).toHaveLength(1))
})

it("labels of a container mean nothing where only backends are asked for", async () => {
  docker.summaries = [sampleSummary("one", await backend("one"), { ...production, "meshwork.service": "x", "meshwork.path_prefix": "/x" })]
  const { url } = await running(rgate)
  expect((await get(`${url}/api/payment`)).text).toBe("one")
  expect((await get(`${url}/x`)).status).toBe(403)
})

it("a container with meshwork.check_path is probed by the gateway", async () => {
  let healthy = false
  const [sick, well] = [await backend("sick", () => healthy), await backend("well")]
  const labels = { ...production, "meshwork.check_path": "/health" }
  docker.summaries = [sampleSummary("sick", sick, labels), sampleSummary("well", well, labels)]
  const { url } = await running(rgate)
  const answers = async () => new Set(await Promise.all(Array.from({ length: 12 }, async () => (await get(`${url}/api/payment`)).text)))
  await eventually(async () => expect(await answers()).toEqual(new Set(["well"])))
  healthy = true
  await eventually(async () => expect(await answers()).toEqual(new Set(["sick", "well"])))
})

it("containers that are not used are listed with the reason", async () => {
  docker.summaries = [sampleSummary("hidden", 1, production, { Ports: [] })]
  const { adminUrl } = await running(rgate)
  expect(await json(`${adminUrl}/containers`)).toMatchObject({
    docker: { connected: true },
    containers: [{ name: "hidden", services: ["payment"], reason: expect.stringContaining("publishes no TCP port") }],
  })
})

it("/stats shows exactly what was sent, and the percentiles of its latencies, also after a restart", async () => {
  const slow = createServer((request, response) => {
    const [, status = "200", ms = "0"] = /\/(\d+)\/(\d+)$/.exec(request.url ?? "") ?? []
    setTimeout(() => response.writeHead(Number(status), { location: "/x" }).end(), Number(ms))
  })
  await new Promise<void>((resolve) => slow.listen(0, "127.0.0.1", resolve))
  closers.push(
    () => slow.closeAllConnections(),
    () => void slow.close(),
  )
  docker.summaries = [sampleSummary("one", (slow.address() as AddressInfo).port, production)]
  const statsDatabase = join(folder, "counts.sqlite")
  const first = await running(rgate, { statsDatabase })
  const took: number[] = []
  const send = async (path: string): Promise<void> => {
    const begin = performance.now()
    await (await fetch(`${first.url}${path}`, { redirect: "manual" })).arrayBuffer()
    if (path.startsWith("/api/")) took.push(performance.now() - begin)
  }
  const all = (count: number, path: string) => Promise.all(Array.from({ length: count }, () => send(path)))
  // 180 of 40 ms and more, 16 of 400 and more, 4 of 900 and more: the 190th of 200 is among the second, the 198th among the third.
  for (const [status, count] of [
    [200, 60],
    [204, 50],
    [301, 30],
    [404, 25],
    [500, 15],
  ] as const)
    await all(count, `/api/payment/${status}/40`)
  await all(16, "/api/payment/200/400")
  await all(4, "/api/payment/200/900")
  await all(3, "/nowhere")
  await all(2, "/stats")
  interface Shown {
    requests_count: object
    latency_ms: { average: number; p95: number; p99: number }
  }
  const shown = (await json(`${first.url}/stats`)) as Shown
  expect(shown.requests_count).toEqual({ success: 160, error: 43 })
  const { average, p95, p99 } = shown.latency_ms
  // No more than those who asked saw, within what a histogram tells apart.
  took.sort((a, b) => a - b)
  const seen = (rank: number): number => (took[rank - 1] ?? 0) * 1.05 + 2
  expect(took).toHaveLength(200)
  expect([p95 >= 396 && p95 < seen(190), p99 >= 891 && p99 < seen(198)], JSON.stringify([p95, seen(190), p99, seen(198)])).toEqual([true, true])
  // 180 × 40 + 16 × 400 + 4 × 900, over 200.
  expect(average).toBeGreaterThanOrEqual(85)
  expect(average).toBeLessThan((took.reduce((sum, ms) => sum + ms, 0) / 200) * 1.05 + 2)
  await first.close()
  const second = await running(rgate, { statsDatabase })
  expect((await json(`${second.url}/stats`)) as Shown).toMatchObject({ requests_count: shown.requests_count, latency_ms: shown.latency_ms })
})

it("the counts survive a restart, and a file that cannot be used is one warning", async () => {
  docker.summaries = [sampleSummary("one", await backend("one"), production)]
  const statsDatabase = join(folder, "deep/in/counts.sqlite")
  const first = await running(rgate, { statsDatabase })
  for (let n = 0; n < 5; n++) await get(`${first.url}/api/payment`)
  await get(`${first.url}/nothing`)
  const before = (await json(`${first.url}/stats`)) as { latency_ms: object; routes: object; requests_count: object }
  await first.close()
  const second = await running(rgate, { statsDatabase })
  expect(await json(`${second.url}/stats`)).toMatchObject({
    requests_count: { success: 5, error: 1 },
    latency_ms: before.latency_ms,
    routes: before.routes,
  })
  const third = await running(rgate, { statsDatabase })
  expect(await json(`${third.url}/stats`)).toMatchObject({ requests_count: { success: 0, error: 0 } })
  expect(log.filter((line) => line.includes("another process uses it; counts are kept in memory only"))).toHaveLength(1)
  await second.close()
  expect(readFileSync(statsDatabase).subarray(0, 15).toString()).toBe("SQLite format 3")
  const fourth = await running(rgate, { statsDatabase: join(folder, "docker.sock/counts.sqlite") })
  expect((await get(`${fourth.url}/api/payment`)).text).toBe("one")
  expect(log.filter((line) => line.includes("cannot be kept in"))).toHaveLength(2)
})
