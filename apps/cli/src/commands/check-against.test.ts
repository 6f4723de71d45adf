import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createDiscoveryApi } from "@meshwork/client-sdk/discovery"
import { runDiscovery, type RunningDiscovery } from "@meshwork/discovery-server"
import { pino } from "pino"
import { afterAll, beforeAll, expect, it } from "vitest"
import { run } from "../testing/fake-context.ts"

let folder = ""
let discovery: RunningDiscovery
let backend: Server
let address = ""

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-against-"))
  backend = createServer((request, response) => response.writeHead(request.url === "/health" ? 200 : 404).end())
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve))
  address = `127.0.0.1:${(backend.address() as AddressInfo).port}`
  const [host = "", port = ""] = address.split(":")
  const stale = { service: "stale", id: "old", registration: { host: "10.0.0.9", port: 1, ttlSeconds: 0 } }
  const fine = { service: "fine", id: address, registration: { host, port: Number(port), ttlSeconds: 0 } }
  const heavy = { service: "heavy", id: "h1", registration: { host, port: Number(port), weight: 9, ttlSeconds: 0 } }
  discovery = await runDiscovery({ port: 0, storage: "memory", instances: [stale, fine, heavy], log: pino({ level: "silent" }) })
  const api = createDiscoveryApi({ urls: [discovery.url] })
  const put = (service: string, id: string) => api.call("register", { params: { service, id }, body: { host: "10.0.0.1", port: 1, ttlSeconds: 0 } })
  await put("live", "l1")
  await put("asleep", "a1")
  await api.call("patchInstance", { params: { service: "asleep", id: "a1" }, query: {}, body: { state: "disabled" } })
})
afterAll(async () => {
  await discovery.close()
  await new Promise((resolve) => backend.close(resolve))
  rmSync(folder, { recursive: true })
})

function file(text: string): string {
  const path = join(folder, "meshwork.yaml")
  writeFileSync(path, text)
  return path
}

it("shows what the mesh has otherwise, and who does not answer", async () => {
  const path = file(`
services:
  fine: { instances: ["${address}"] }
  heavy: { instances: [{ address: "${address}", id: h1, weight: 2 }] }
  dead: { instances: ["127.0.0.1:1"], check: { method: http, path: /health } }
  wrong: { instances: ["${address}"], check: { method: http, path: /nope } }
  right: { instances: ["${address}"], check: { method: http, path: /health } }
routes:
  - { pathPrefix: /fine, service: fine }
  - { pathPrefix: /live, service: live }
  - { pathPrefix: /asleep, service: asleep }
  - { pathPrefix: /nobody, service: nobody }
  - { pathPrefix: /nobody2, service: nobody }
`)
  const { code, stdout, stderr } = await run(["check", "-c", path, "--against", discovery.url])
  expect(code).toBe(0)
  expect(stdout.trimEnd().split("\n")).toEqual([
    `${path}: services.dead.instances[0]: seen from here: dead/127.0.0.1:1: GET http://127.0.0.1:1/health: ECONNREFUSED`,
    `${path}: services.wrong.instances[0]: seen from here: wrong/${address}: GET http://${address}/nope answers 404`,
    `${path}: routes[2].service: mesh: no instance of "asleep" serves: a1 is out (disabled by api 127.0.0.1)`,
    `${path}: routes[3].service: mesh: nobody provides the service "nobody"`,
    `${path}: services.heavy.instances[0]: mesh: heavy/h1 differs in the mesh: weight is 9 there and 2 here`,
    `${path}: services.dead.instances[0]: mesh: the mesh does not have dead/127.0.0.1:1`,
    `${path}: services.wrong.instances[0]: mesh: the mesh does not have wrong/${address}`,
    `${path}: services.right.instances[0]: mesh: the mesh does not have right/${address}`,
    `${path}: mesh: stale/old is registered from a configuration, and not in this one`,
    `${path}: mesh: the service "heavy" is in the mesh, and no route leads to it`,
    `${path}: mesh: the service "stale" is in the mesh, and no route leads to it`,
  ])
  expect(stderr).toBe(`${path}: no errors, no warnings, 2 surprises seen from here, 9 differences to the mesh\n`)
})

it("gives the same as JSON", async () => {
  const path = file("routes: [{ pathPrefix: /nobody, service: nobody }]\n")
  const { code, stdout, stderr } = await run(["check", "-c", path, "--against", discovery.url, "--format", "json"])
  const result = JSON.parse(stdout) as { mesh: unknown[] }
  expect([code, stderr, result]).toMatchObject([0, "", { valid: true, errors: [], warnings: [], against: [discovery.url] }])
  expect(result.mesh[0]).toEqual({
    kind: "not-provided",
    path: "routes[0].service",
    service: "nobody",
    message: 'nobody provides the service "nobody"',
  })
})

it("a mesh that is down is a failure of its own; a broken file is told before anybody is asked", async () => {
  const down = await run(["check", "-c", file("{}"), "--against", "http://127.0.0.1:1"])
  expect(down).toEqual({ code: 1, stdout: "", stderr: "meshwork: no discovery server at http://127.0.0.1:1: ECONNREFUSED\n" })
  const broken = await run(["check", "-c", file("gateway: { port: x }"), "--against", "http://127.0.0.1:1"])
  expect([broken.code, broken.stderr]).toEqual([2, `${join(folder, "meshwork.yaml")}: 1 error, no warnings\n`])
})
