import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { parseConfig } from "@meshwork/config"
import { runDiscovery, type RunningDiscovery } from "@meshwork/discovery-server"
import { runGateway, type RunningGateway } from "@meshwork/gateway-server"
import { pino } from "pino"
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest"
import { runCli } from "../program.ts"
import { fakeContext, run } from "../testing/fake-context.ts"
import { until } from "../testing/spawn-meshwork.ts"
import { requestOf } from "./explain.ts"

const log = pino({ level: "silent" })
let backend: Server
let discovery: RunningDiscovery
let gateway: RunningGateway

const portOf = (server: Server) => (server.address() as AddressInfo).port

async function listen(handler: Parameters<typeof createServer>[1]): Promise<Server> {
  const server = createServer(handler as never)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return server
}

beforeAll(async () => {
  backend = await listen((request, response) => response.writeHead(request.url === "/a/bad" ? 500 : 200).end())
  const text = `{ services: { a: { instances: ["127.0.0.1:${portOf(backend)}"] } }, gateway: { port: 0, adminPort: 0, discovery: [] },
    routes: [{ pathPrefix: /a, service: a }] }`
  const config = parseConfig({ text, file: "test" }, { env: {} })
  gateway = await runGateway({ ...config, log })
  discovery = await runDiscovery({
    port: 0,
    storage: "memory",
    instances: [{ service: "s", id: "i", registration: { host: "h", port: 1, ttlSeconds: 0 } }],
    log,
  })
  for (const path of ["/a/1", "/a/2", "/a/bad"]) await (await fetch(`${gateway.url}${path}`)).arrayBuffer()
})
afterAll(async () => {
  await gateway.close()
  await discovery.close()
  backend.closeAllConnections()
  await new Promise((resolve) => backend.close(resolve))
})

describe("stats", () => {
  it("shows what a gateway has counted, route by route", async () => {
    const { code, stdout, stderr } = await run(["stats", "--gateway", gateway.adminUrl])
    expect([code, stderr]).toEqual([0, ""])
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((row) => row.split(/ {2,}/))
    expect(rows[0]).toEqual(["ROUTE", "SERVICE", "SERVING", "REQUESTS", "ERRORS", "AVERAGE MS", "P95", "P99"])
    expect(rows[1]?.slice(0, 5)).toEqual(["/a/*", "a", "1/1", "3", "1"])
    expect(rows[2]).toEqual([`3 requests, 1 error, 0 in flight at ${gateway.adminUrl}`])
    const json = await run(["stats", "--format", "json"], { env: { MESHWORK_ADMIN_URL: gateway.adminUrl } })
    expect(JSON.parse(json.stdout)).toMatchObject({ requests_count: { success: 2, error: 1 }, routes: { "/a/*": { service: "a" } }, in_flight: 0 })
  })

  it("goes on with rates until a signal; a terminal is redrawn", async () => {
    const context = fakeContext({ columns: 120 })
    const ended = runCli(["stats", "--watch", "--interval", "1", "--gateway", gateway.adminUrl], context)
    await until(
      () => context.written.stdout.split("\u001b[H\u001b[J").length === 3,
      () => context.written.stdout,
    )
    context.signal()
    expect(await ended).toBe(0)
    const last = context.written.stdout.split("\u001b[H\u001b[J").at(-1) ?? ""
    expect(last).toMatch(/^ROUTE +SERVICE +SERVING +REQ\/S +ERR\/S /)
    expect(last).toMatch(/\n\/a\/\* +a +1\/1 +0\.0 +0\.0 +3 +1 /)
  })

  it("a watch as JSON is an object a line, and outlives an outage", async () => {
    let up = true
    const stats = { requests_count: { success: 1, error: 0 }, latency_ms: { average: 1, p95: 1, p99: 1 }, routes: {}, in_flight: 0 }
    const admin = await listen((request, response) => {
      if (!up) return request.socket.destroy()
      return response.end(JSON.stringify(request.url === "/routes" ? { routes: [] } : stats))
    })
    onTestFinished(() => admin.close().closeAllConnections())
    const context = fakeContext()
    const url = `http://127.0.0.1:${portOf(admin)}`
    const ended = runCli(["stats", "--watch", "--interval", "1", "--format", "json", "--gateway", url], context)
    await until(
      () => context.written.stdout !== "",
      () => context.written.stderr,
    )
    up = false
    await until(
      () => context.written.stderr !== "",
      () => "nothing was said",
    )
    up = true
    const before = context.written.stdout.length
    await until(
      () => context.written.stdout.length > before,
      () => context.written.stderr,
    )
    context.signal()
    expect(await ended).toBe(0)
    expect(context.written.stderr).toMatch(new RegExp(`^meshwork: no gateway at ${url}: .*; asking again\n$`))
    for (const line of context.written.stdout.trimEnd().split("\n")) expect(JSON.parse(line)).toEqual(stats)
  })

  it("shows who serves from a discovery server", async () => {
    const { code, stdout } = await run(["stats", "--server", discovery.url])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^SERVICE +SERVING +INSTANCES +REVISION\ns +1 +1 +\d+\n1 service, 1 of 1 instances serving\n$/)
    const json = await run(["stats", "--server", discovery.url, "--format", "json"])
    expect(JSON.parse(json.stdout)).toMatchObject({ services: [{ name: "s", instances: 1, serving: 1 }] })
  })
})

describe("explain", () => {
  it("shows the route that wins, those that were considered, and the instances", async () => {
    const { code, stdout, stderr } = await run(["explain", "POST http://shop.test/a/1?x=1", "--gateway", gateway.adminUrl])
    expect([code, stderr]).toEqual([0, ""])
    const address = `127.0.0.1:${portOf(backend)}`
    expect(stdout).toMatch(`POST /a/1?x=1 (Host: shop.test): goes to ${address} at ${address}, the only instance of a that may be used\nroute /a/*\n`)
    expect(stdout).toMatch(/\n\/a\/\* +a +yes +the most particular route that matches\n/)
    expect(stdout).toMatch(new RegExp(`\n${address} +${address} +yes +serving +closed +1 +0 `))
    const json = await run(["explain", "/a/1", "--host", "h", "--format", "json", "--gateway", gateway.adminUrl])
    expect(JSON.parse(json.stdout)).toMatchObject({ method: "GET", host: "h", path: "/a/1", route: "/a/*", instances: [{ address }] })
  })

  it("says when no route is found, and what the guard refuses", async () => {
    expect((await run(["explain", "/x", "--gateway", gateway.adminUrl])).stdout).toBe(
      "GET /x (Host: localhost): no route: no route has this path\n1 other route has another path\n",
    )
    expect((await run(["explain", "/a/../b", "--gateway", gateway.adminUrl])).stdout).toContain("refused with 400: the path has a dot segment")
  })

  it("explains a file without any gateway", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "meshwork-explain-")), "m.yaml")
    onTestFinished(() => rmSync(dirname(file), { recursive: true }))
    writeFileSync(
      file,
      "services: { a: { instances: [h] } }\nroutes: [{ pathPrefix: /a, service: a, stripPrefix: true }, { path: /a/x, service: a }]\n",
    )
    const { code, stdout } = await run(["explain", "/a/1", "-c", file])
    expect([code, stdout.split("\n").slice(0, 2)]).toEqual([0, ["GET /a/1 (Host: localhost): goes to a", "route /a/*, as /1"]])
    expect((await run(["explain", "/a/x", "-c", file])).stdout).toMatch(/\/a\/\* +a +no +\/a\/x wins: an exact path comes before a prefix/)
  })

  it("a gateway that does not explain is told in one line", async () => {
    const problem = { type: "urn:meshwork:error:not_found", title: "Not found", status: 404, detail: "the admin API has /stats", code: "not_found" }
    const server = await listen((_, response) => response.writeHead(404, { "content-type": "application/json" }).end(JSON.stringify(problem)))
    onTestFinished(() => server.close().closeAllConnections())
    const url = `http://127.0.0.1:${portOf(server)}`
    const stderr = `meshwork: the gateway at ${url} explains no requests: the admin API has /stats\n`
    expect(await run(["explain", "/x", "--gateway", url])).toEqual({ code: 1, stdout: "", stderr })
  })

  it.each([
    [["/x"], { method: "GET", path: "/x" }],
    [["get /x"], { method: "GET", path: "/x" }],
    [["DELETE", "/x"], { method: "DELETE", path: "/x" }],
    [["http://h:1/a/../b?c#d"], { method: "GET", path: "/a/../b?c", host: "h:1" }],
    [["PUT https://h"], { method: "PUT", path: "/", host: "h" }],
    [["https://h?a=1"], { method: "GET", path: "/?a=1", host: "h" }],
  ])("%j is understood", (args, request) => {
    expect(requestOf(args)).toEqual(request)
  })

  it.each([[["x"]], [["GET", "x"]], [["GET", "/x", "/y"]], [["G@T /x"]], [["ftp://h/x"]], [["   "]]])("%j is wrong usage", async (args) => {
    const { code, stdout, stderr } = await run(["explain", ...args, "--gateway", "http://127.0.0.1:1"])
    expect([code, stdout]).toEqual([2, ""])
    expect(stderr).toMatch(/^meshwork: .*found/)
  })
})

describe.each([{ args: ["stats"] }, { args: ["stats", "--watch"] }, { args: ["explain", "/x"] }])("$args", ({ args }) => {
  it("names a gateway that is down in one line", async () => {
    const { code, stdout, stderr } = await run([...args, "--gateway", "http://127.0.0.1:1"])
    expect([code, stdout, stderr]).toEqual([1, "", "meshwork: no gateway at http://127.0.0.1:1: ECONNREFUSED\n"])
  })

  it("tells a server of another kind apart in one line", async () => {
    const web = await listen((_, response) => response.setHeader("content-type", "text/html").end("<h1>hello</h1>"))
    onTestFinished(() => web.close().closeAllConnections())
    const url = `http://127.0.0.1:${portOf(web)}`
    const stderr = `meshwork: ${url} is not the admin port of a gateway: it answered 200 with something else\n`
    expect(await run([...args, "--gateway", url])).toEqual({ code: 1, stdout: "", stderr })
    const mistaken = await run([...args, "--gateway", discovery.url])
    expect([mistaken.code, mistaken.stdout]).toEqual([1, ""])
    expect(mistaken.stderr).toMatch(new RegExp(`^meshwork: .*${discovery.url}.*\n$`))
  })
})
