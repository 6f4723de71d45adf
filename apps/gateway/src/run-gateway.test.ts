import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { meshConfigSchema, type MeshConfigInput } from "@meshwork/config"
import { pino } from "pino"
import { afterEach, beforeEach, expect, it } from "vitest"
import { runGateway } from "./index.ts"

const closers: (() => Promise<unknown> | void)[] = []
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-gateway-"))
})
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
  rmSync(folder, { recursive: true })
})

async function backend(text: string, healthy: () => boolean = () => true): Promise<{ port: number; server: Server }> {
  const server = createServer((request, response) => {
    if (request.url === "/health") response.statusCode = healthy() ? 200 : 500
    response.end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, server }
}

async function running(input: Partial<MeshConfigInput>, gateway: MeshConfigInput["gateway"] = {}) {
  const config = meshConfigSchema.parse({ ...input, gateway: { port: 0, adminPort: 0, discovery: [], ...gateway } })
  const started = await runGateway({ ...config, dataDirectory: folder, log: pino({ level: "silent" }) })
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

const json = async (url: string): Promise<Record<string, never>> => (await (await fetch(url)).json()) as Record<string, never>
const route = { match: "prefix" as const, path: "/", target: { kind: "service" as const, name: "a" } }
const instance = (port: number, more: object = {}) => ({ id: `127.0.0.1:${port}`, host: "127.0.0.1", port, ...more })

it("serves static services without any registry, and tells what it does", async () => {
  const { port } = await backend("one")
  const { url, adminUrl } = await running({ services: { a: { instances: [instance(port)] } }, routes: [route] })
  expect(await (await fetch(url)).text()).toBe("one")
  expect(await json(`${adminUrl}/ready`)).toEqual({ ready: true, reasons: [] })
  expect(await json(`${adminUrl}/routes`)).toMatchObject({
    routes: [{ path: "/", service: "a", known: true, instances: [{ standing: "serving", eligible: true }] }],
  })
  await eventually(async () => expect(await json(`${adminUrl}/stats`)).toMatchObject({ requests_count: { success: 1, error: 0 }, in_flight: 0 }))
  expect((await fetch(`${adminUrl}/health`)).status).toBe(200)
})

it("offers its metrics, with histograms per route and a bounded set of labels", async () => {
  const { port } = await backend("one")
  const { url, adminUrl } = await running({ services: { a: { instances: [instance(port)] } }, routes: [route] })
  for (let n = 0; n < 3; n++) await (await fetch(`${url}/path/${n}`)).text()
  await eventually(async () => expect(await json(`${adminUrl}/stats`)).toMatchObject({ requests_count: { success: 3 } }))
  const answer = await fetch(`${adminUrl}/metrics`)
  expect(answer.headers.get("content-type")).toContain("text/plain; version=0.0.4")
  const text = await answer.text()
  expect(text.split("\n")).toEqual(
    expect.arrayContaining([
      "# TYPE meshwork_gateway_request_duration_seconds histogram",
      'meshwork_gateway_requests_total{route="/",service="a",status="2xx"} 3',
      'meshwork_gateway_request_duration_seconds_bucket{route="/",service="a",le="30"} 3',
      'meshwork_gateway_request_duration_seconds_bucket{route="/",service="a",le="+Inf"} 3',
      'meshwork_gateway_request_duration_seconds_count{route="/",service="a"} 3',
      'meshwork_gateway_instances{service="a"} 1',
      'meshwork_gateway_eligible_instances{service="a"} 1',
      "meshwork_gateway_in_flight_requests 0",
    ]),
  )
  expect(text).not.toContain("/path/")
})

it("explains what would become of a request", async () => {
  const { port } = await backend("one")
  const { adminUrl } = await running({ services: { a: { instances: [instance(port)] } }, routes: [route] })
  expect(await json(`${adminUrl}/explain?path=${encodeURIComponent("/x?y=1")}&host=h.test`)).toMatchObject({
    method: "GET",
    host: "h.test",
    path: "/x?y=1",
    route: "/",
    service: "a",
    considered: [{ route: "/", wins: true }],
    instances: [{ address: `127.0.0.1:${port}`, standing: "serving", eligible: true, breaker: "closed" }],
  })
  for (const query of ["", "?path=x", "?path=/&method=A B", "?path=/&more=1", "?path=/&host=a&host=b"]) {
    expect((await fetch(`${adminUrl}/explain${query}`)).status, query).toBe(400)
  }
})

it("answers with problem bodies where the admin API has nothing", async () => {
  const { adminUrl } = await running({})
  const missing = await fetch(`${adminUrl}/nothing`)
  expect([missing.status, missing.headers.get("content-type"), ((await missing.json()) as { code: string }).code]).toEqual([
    404,
    expect.stringContaining("application/problem+json"),
    "not_found",
  ])
  expect((await fetch(`${adminUrl}/stats`, { method: "POST" })).status).toBe(405)
})

it("probes static instances itself: the failing one is left alone until it is well again", async () => {
  let healthy = false
  const [sick, well] = [await backend("sick", () => healthy), await backend("well")]
  const check = { method: "http" as const, path: "/health", frequencySeconds: 0.1, timeoutSeconds: 1 }
  const { url } = await running({ services: { a: { instances: [instance(sick.port, { check }), instance(well.port, { check })] } }, routes: [route] })
  const answers = async () => new Set(await Promise.all(Array.from({ length: 12 }, async () => (await fetch(url)).text())))
  await eventually(async () => expect(await answers()).toEqual(new Set(["well"])))
  healthy = true
  await eventually(async () => expect(await answers()).toEqual(new Set(["sick", "well"])))
})

it("remembers instances over a restart, and uses them as suspects while no discovery server answers", async () => {
  const { port } = await backend("remembered")
  const known = {
    service: "a",
    at: 1,
    instances: [
      {
        ...instance(port),
        service: "a",
        origin: "api",
        registeredAt: 1,
        state: "up",
        standing: "serving",
        why: "",
        health: { status: "unknown", since: 1, reason: "", by: "" },
      },
    ],
  }
  writeFileSync(join(folder, "gateway-0.instances.json"), JSON.stringify({ format: 1, services: [known] }))
  const { url, adminUrl } = await running({ routes: [route] }, { discovery: ["http://127.0.0.1:9"] })
  expect(await (await fetch(url)).text()).toBe("remembered")
  expect(await json(`${adminUrl}/routes`)).toMatchObject({ routes: [{ stale: true, instances: [{ standing: "suspect" }] }] })
})

it("a damaged memory is no reason not to start", async () => {
  writeFileSync(join(folder, "gateway-0.instances.json"), '{"format":1,"serv')
  const { url, adminUrl } = await running({ routes: [route] }, { discovery: ["http://127.0.0.1:9"] })
  expect((await fetch(url)).status).toBe(503)
  const ready = await fetch(`${adminUrl}/ready`)
  expect([ready.status, ((await ready.json()) as { reasons: string[] }).reasons.join()]).toEqual([
    503,
    expect.stringContaining("nothing is known of a yet"),
  ])
})

it("falls back to the file's instances while discovery knows none", async () => {
  const { port } = await backend("from the file")
  const other = { match: "prefix" as const, path: "/other", target: { kind: "service" as const, name: "elsewhere" } }
  const { url } = await running({ services: { a: { instances: [instance(port)] } }, routes: [route, other] }, { discovery: ["http://127.0.0.1:9"] })
  await eventually(async () => expect(await (await fetch(url)).text()).toBe("from the file"))
})

it("a taken admin port is named with its option, and nothing stays open", async () => {
  const { port } = await backend("")
  const config = meshConfigSchema.parse({ gateway: { port: 0, adminPort: port, discovery: [] } })
  await expect(runGateway({ ...config, dataDirectory: folder, log: pino({ level: "silent" }) })).rejects.toMatchObject({
    code: "invalid_config",
    message: expect.stringMatching(new RegExp(`${port}.*--admin-port`)),
  })
})

it("binds the admin API where it is told to, and nowhere else", async () => {
  const { adminUrl } = await running({}, { adminHost: "127.0.0.2" })
  expect(new URL(adminUrl).hostname).toBe("127.0.0.2")
  expect(await json(`${adminUrl}/health`)).toEqual({ status: "Gateway running" })
  await expect(fetch(adminUrl.replace("127.0.0.2", "127.0.0.1"))).rejects.toThrow()
})
