import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest"
import { pino } from "pino"
import { createHttpApp } from "../../http-app.ts"
import type { StaticInstance } from "../../static-services.ts"
import { startServer } from "../../testing/server-bench.ts"
import { registerServerPy } from "./index.ts"
import { localTime } from "./local-time.ts"
import { statisticsPieces } from "./statistics.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-dump-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const when = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/

async function backend(status: () => number): Promise<number> {
  const server = createServer((_, response) => response.writeHead(status()).end())
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

function configured(service: string, port: number, changes: object = {}): StaticInstance {
  const check = { method: "http" as const, path: "/health", frequencySeconds: 0.1, timeoutSeconds: 1, packetLimit: 4, ...changes }
  return { service, id: `127.0.0.1:${port}`, registration: { host: "127.0.0.1", port, check, tags: { "serverpy.address": `localhost:${port}` } } }
}

it("health says that the server runs, and its name where it has one", async () => {
  const plain = await startServer()
  const answer = await plain.call("/health")
  expect([answer.status, answer.headers.get("content-type"), answer.json]).toEqual([
    200,
    expect.stringContaining("application/json"),
    { status: "Discovery Server running" },
  ])
  const named = await startServer({ name: "My Discovery Server" })
  expect((await named.call("/health")).json).toEqual({ status: "Discovery Server running", name: "My Discovery Server" })
})

describe("statistics", () => {
  it("tell of every probe, of every service, and of what gateways report", async () => {
    let status = 200
    const [good, bad] = [await backend(() => 204), await backend(() => status)]
    const { call } = await startServer({ instances: [configured("a", good), configured("b", good, { path: "/x" }), configured("b", bad)] })
    const registered = { method: "PUT", body: { host: "127.0.0.1", port: 9 } }
    await call("/v1/services/unchecked/instances/u", registered)
    await expect.poll(async () => (await call("/stats")).json.services.b?.serving).toBe(2)
    status = 500
    await expect.poll(async () => (await call("/stats")).json.services.b?.serving).toBe(1)
    const report = { gateway: "g:1", since: 1_700_000_000_000, services: { a: { success: 7, error: 1, latencyMs: { average: 1, p95: 2, p99: 3 } } } }
    expect((await call("/v1/reports", { method: "POST", body: report })).status).toBe(204)

    const { status: answered, headers, json } = await call("/stats")
    expect([answered, headers.get("content-type")]).toEqual([200, expect.stringContaining("application/json")])
    expect(json.services).toEqual({
      a: { serving: 1, total: 1, status: "up" },
      b: { serving: 1, total: 2, status: "degraded" },
      unchecked: { serving: 1, total: 1, status: "up" },
    })
    expect(json.request_statistics).toEqual([{ gateway: "g:1", since: localTime(report.since), services: report.services }])
    expect(json.service_statistics).toHaveLength(3)
    const [first] = json.service_statistics
    expect(Object.keys(first)).toEqual([
      "instance_url",
      "service_name",
      "check_start_time",
      "last_checked_at",
      "last_failure",
      "stats_packets",
      "packet_limit",
    ])
    expect(first).toMatchObject({
      instance_url: `localhost:${good}`,
      service_name: "a",
      check_start_time: expect.stringMatching(when),
      last_checked_at: expect.stringMatching(when),
      last_failure: null,
      packet_limit: 4,
    })
    const packet = { start_time: expect.stringMatching(when), end_time: expect.stringMatching(when), final_status: "active", response: null }
    expect(first.stats_packets.length).toBeGreaterThanOrEqual(1)
    expect(first.stats_packets.length).toBeLessThanOrEqual(4)
    for (const each of first.stats_packets) expect(each).toEqual(packet)
    const failing = json.service_statistics.find((entry: { instance_url: string }) => entry.instance_url === `localhost:${bad}`)
    expect(failing.last_failure).toMatch(when)
    expect(failing.stats_packets.at(-1)).toMatchObject({ final_status: "inactive", response: "answered 500" })
  })

  it("name each status of a packet as ServerPy does, and an instance by its address where it has no other name", async () => {
    const port = await backend(() => 200)
    const { call } = await startServer()
    const check = { method: "ping", frequencySeconds: 0.1 }
    await call("/v1/services/a/instances/gone", { method: "PUT", body: { host: "127.0.0.1", port: 1, check } })
    await call("/v1/services/a/instances/here", {
      method: "PUT",
      body: { host: "127.0.0.1", port, scheme: "https", check: { ...check, method: "http", path: "/" } },
    })
    const packets = async () => (await call("/stats")).json.service_statistics.map((entry: { stats_packets: object[] }) => entry.stats_packets.at(-1))
    await expect.poll(packets).toMatchObject([
      { final_status: "service unreachable", response: "connection refused" },
      { final_status: "service unreachable", response: expect.stringContaining("no secure connection") },
    ])
    expect((await call("/stats")).json.service_statistics.map((entry: { instance_url: string }) => entry.instance_url)).toEqual([
      "http://127.0.0.1:1",
      `https://127.0.0.1:${port}`,
    ])
    expect((await call("/stats")).json.services.a).toEqual({ serving: 0, total: 2, status: "down" })
  })

  it("can be had of one service, and with fewer packets", async () => {
    const port = await backend(() => 200)
    const { call } = await startServer({ instances: [configured("a", port), configured("b", port)] })
    const packets = async (query: string) =>
      (await call(`/stats${query}`)).json.service_statistics.map((entry: { stats_packets: [] }) => entry.stats_packets.length)
    await expect.poll(() => packets("")).toEqual([4, 4])
    expect(await packets("?limit=2&service=b")).toEqual([2])
    expect(await packets("?limit=0")).toEqual([0, 0])
    expect((await call("/stats?service=b")).json.services).toEqual({ b: expect.anything() })
    expect((await call("/stats?service=nobody")).json).toEqual({ service_statistics: [], services: {}, request_statistics: [] })
    for (const query of ["?limit=-1", "?limit=many", "?limit=1000001", "?service=", "?servcie=a"]) {
      const refused = await call(`/stats${query}`)
      expect([refused.status, refused.json.code], query).toEqual([400, "invalid_request"])
    }
  })

  it("have the latest thousand packets of an instance where nobody asks for more", async () => {
    const packets = Array.from({ length: 1500 }, (_, n) => ({ startedAt: n, durationMs: 1, outcome: "active" as const }))
    const instance = { service: "a", id: "i", host: "127.0.0.1", port: 1, scheme: "http", tags: {}, check: { packetLimit: 5000 } }
    const app = createHttpApp(pino({ level: "silent" }))
    onTestFinished(() => app.close())
    registerServerPy(app, {
      registry: {
        services: () => [{ name: "a", instances: 1, serving: 1, revision: 1 }],
        list: () => ({ revision: 1, instances: [instance] }),
      } as never,
      polling: { history: (_: unknown, limit: number) => packets.slice(-limit), state: () => undefined, polledBy: () => undefined } as never,
      reports: { current: () => [] } as never,
      authorize: () => "test",
      dataDirectory: folder,
    })
    const starts = async (query: string) => {
      const { body } = await app.inject(`/stats${query}`)
      const [entry] = (JSON.parse(body) as { service_statistics: { stats_packets: { start_time: string }[] }[] }).service_statistics
      return entry?.stats_packets.map(({ start_time }) => start_time)
    }
    expect(await starts("")).toEqual(packets.slice(500).map(({ startedAt }) => localTime(startedAt)))
    expect(await starts("?limit=1200")).toHaveLength(1200)
  })

  it("name the server that probes an instance, where that is another one", async () => {
    const instance = { service: "a", id: "i", host: "::1", port: 1, scheme: "http", tags: {}, check: { packetLimit: 5000 } }
    const source = {
      registry: { services: () => [{ name: "a", instances: 1, serving: 1, revision: 1 }], list: () => ({ revision: 1, instances: [instance] }) },
      polling: { history: () => [], state: () => undefined, polledBy: () => "http://10.0.0.9:8008" },
      reports: { current: () => [] },
    }
    let text = ""
    for await (const piece of statisticsPieces(source as never, { limit: 10 })) text += piece
    expect(JSON.parse(text).service_statistics).toEqual([
      {
        instance_url: "http://[::1]:1",
        service_name: "a",
        check_start_time: null,
        last_checked_at: null,
        last_failure: null,
        stats_packets: [],
        packet_limit: 5000,
        polled_by: "http://10.0.0.9:8008",
      },
    ])
  })
})

describe("dump", () => {
  it("writes the statistics into the data directory, whole", async () => {
    const port = await backend(() => 200)
    const data = join(folder, "new", "data")
    const { call } = await startServer({ dataDirectory: data, instances: [configured("a", port)] })
    await expect.poll(async () => (await call("/stats")).json.services.a?.serving).toBe(1)
    const { status, json } = await call("/dump")
    expect([status, json]).toEqual([200, { status: "Success", file: join(data, "dump.json") }])
    const written = JSON.parse(readFileSync(json.file, "utf8"))
    expect(written.service_statistics).toMatchObject([{ service_name: "a", stats_packets: expect.any(Array) }])
    const both = await Promise.all([call("/dump"), call("/dump")])
    expect(both.map((answer) => answer.status)).toEqual([200, 200])
    expect(readdirSync(data)).toEqual(["dump.json"])
  })

  it("streams them instead where asked", async () => {
    const { call } = await startServer({ dataDirectory: folder })
    const { status, headers, json } = await call("/dump?download=1")
    expect([status, headers.get("content-disposition"), json]).toEqual([
      200,
      'attachment; filename="dump.json"',
      { service_statistics: [], services: {}, request_statistics: [] },
    ])
    expect(readdirSync(folder)).toEqual([])
    expect((await call("/dump?download=yes")).status).toBe(400)
  })

  it("needs the token where one is set", async () => {
    const { call } = await startServer({ dataDirectory: folder, tokens: [{ name: "me", token: "secret" }] })
    for (const path of ["/dump", "/dump?download=1"]) {
      expect((await call(path)).status).toBe(401)
      expect((await call(path, { headers: { authorization: "Bearer secret" } })).status).toBe(200)
    }
    expect((await call("/stats")).status).toBe(200)
  })

  it.each([
    ["a folder that cannot be made", (at: string) => writeFileSync(at, "")],
    ["a dump.json that is a folder", (at: string) => mkdirSync(join(at, "dump.json", "inner"), { recursive: true })],
  ])("a failure is told, and no part of a file stays: %s", async (_title, spoil) => {
    const data = join(folder, "data")
    spoil(data)
    const { call } = await startServer({ dataDirectory: data })
    const { status, headers, json } = await call("/dump")
    expect([status, headers.get("content-type")]).toEqual([500, expect.stringContaining("application/problem+json")])
    expect(json).toMatchObject({ code: "internal", detail: expect.stringMatching(/^the statistics could not be written to .*dump\.json: E[A-Z]+$/) })
    expect(readdirSync(folder, { recursive: true }).filter((name) => String(name).includes(".tmp"))).toEqual([])
  })
})

it("writes times as Python does, in the time of this machine", () => {
  const at = new Date(2026, 0, 2, 3, 4, 5, 6).getTime()
  expect(localTime(at)).toBe("2026-01-02 03:04:05.006000")
  expect(localTime(undefined)).toBeNull()
})
