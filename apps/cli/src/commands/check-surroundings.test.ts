import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { run } from "../testing/fake-context.ts"

let folder = ""
let engine: Server
let backend: Server
let address = ""
const container = (name: string, labels: Record<string, string>) => ({
  Id: name.padEnd(64, "0"),
  Names: [`/${name}`],
  Image: "x",
  Created: 1,
  State: "running",
  Status: "Up",
  Labels: labels,
  Ports: [],
})

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-around-"))
  engine = createServer((request, response) => {
    const known = request.url?.startsWith("/containers/json") === true
    response.writeHead(known ? 200 : 404, { "content-type": "application/json" })
    response.end(JSON.stringify(known ? [container("c1", { app: "orders", env: "production" }), container("c2", { app: "orders" })] : {}))
  })
  await new Promise<void>((resolve) => engine.listen(join(folder, "docker.sock"), resolve))
  backend = createServer((request, response) => response.writeHead(request.url === "/health" ? 200 : 404).end())
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve))
  address = `127.0.0.1:${(backend.address() as AddressInfo).port}`
})
afterAll(async () => {
  await Promise.all([engine, backend].map((server) => new Promise((resolve) => server.close(resolve))))
  rmSync(folder, { recursive: true })
})

function file(text: string): string {
  const path = join(folder, "meshwork.yaml")
  writeFileSync(path, text)
  return path
}

const backends = `
routes:
  - { pathPrefix: /orders, backend: orders }
  - { pathPrefix: /payment, backend: payment }
  - { pathPrefix: /both, backend: both }
backends:
  orders: { docker: { matchLabels: [app=orders, env=production] } }
  payment: { docker: { matchLabels: [app=payment] } }
  both: { docker: { matchLabels: [app=orders, env=staging] } }
`

it("names backends whose labels no container has", async () => {
  const path = file(backends)
  const env = { DOCKER_HOST: `unix://${folder}/docker.sock` }
  const { code, stdout, stderr } = await run(["check", "-c", path], { env })
  expect(code).toBe(0)
  expect(stdout.trimEnd().split("\n")).toEqual([
    `${path}: backends.payment: seen from here: no container at unix://${folder}/docker.sock has the labels app=payment`,
    `${path}: backends.both: seen from here: no container at unix://${folder}/docker.sock has the labels app=orders, env=staging`,
  ])
  expect(stderr).toBe(`${path}: no errors, no warnings, 2 surprises seen from here\n`)
  const json = await run(["check", "-c", path, "--format", "json"], { env })
  expect(JSON.parse(json.stdout)).toMatchObject({
    valid: true,
    warnings: [],
    seen: [{ kind: "no-container", path: "backends.payment", name: "payment" }, {}],
  })
})

it("a spelling of rgate is compared in the same way", async () => {
  const path = file("routes: [{ path_prefix: /a, backend: a }]\nbackends: [{ name: a, match_labels: [app=none] }]\n")
  const { stdout } = await run(["check", "-c", path], { env: { DOCKER_HOST: `unix://${folder}/docker.sock` } })
  expect(stdout).toContain("has the labels app=none")
})

it("a Docker that cannot be asked is said, and is no failure", async () => {
  const path = file(backends)
  const { code, stdout } = await run(["check", "-c", path], { env: { DOCKER_HOST: `unix://${folder}/nothing.sock` } })
  const text = `whether any container has these labels is not known: Docker at unix://${folder}/nothing.sock failed at listing containers: there is no such socket`
  expect([code, stdout]).toEqual([0, `${path}: backends: seen from here: ${text}\n`])
})

const services = () => `
services:
  dead: { instances: ["127.0.0.1:1"] }
  wrong: { instances: ["${address}"], check: { method: http, path: /nope } }
  right: { instances: ["${address}"], check: { method: http, path: /health } }
routes: [{ pathPrefix: /, service: right }, { pathPrefix: /d, service: dead }, { pathPrefix: /w, service: wrong }]
`

it("asks static instances on their health paths, and nobody with --offline", async () => {
  const path = file(services())
  const { code, stdout } = await run(["check", "-c", path])
  expect(code).toBe(0)
  expect(stdout.trimEnd().split("\n")).toEqual([
    `${path}: services.dead.instances[0]: seen from here: dead/127.0.0.1:1: nothing listens at 127.0.0.1:1: ECONNREFUSED`,
    `${path}: services.wrong.instances[0]: seen from here: wrong/${address}: GET http://${address}/nope answers 404`,
  ])
  expect(await run(["check", "-c", path, "--offline"])).toEqual({ code: 0, stdout: "", stderr: `${path}: no errors, no warnings\n` })
  const both = await run(["check", "-c", path, "--offline", "--against", "http://127.0.0.1:1"])
  expect([both.code, both.stdout]).toEqual([2, ""])
})
