import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type MeshConfig, type MeshConfigInput, meshConfigSchema } from "@meshwork/config"
import { sampleSummary, ScriptedDocker } from "@meshwork/source-docker/testing"
import { pino } from "pino"
import { expect, it, onTestFinished } from "vitest"
import { runGateway } from "./index.ts"

async function backend(text: string, status: () => number = () => 200): Promise<{ port: number; probes: () => number }> {
  let probes = 0
  const server = createServer((request, response) => {
    if (request.url === "/health") probes++
    response.statusCode = request.url === "/health" ? status() : 200
    response.end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, probes: () => probes }
}

function config(input: MeshConfigInput): MeshConfig {
  return meshConfigSchema.parse({ ...input, gateway: { port: 0, adminPort: 0, discovery: [], ...input.gateway } })
}

async function running(input: MeshConfigInput, env: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-reload-"))
  const log: string[] = []
  const stream = { write: (line: string) => void log.push(line) }
  const started = await runGateway({ ...config(input), dataDirectory: folder, env, log: pino({}, stream) })
  onTestFinished(async () => {
    await started.close()
    rmSync(folder, { recursive: true })
  })
  const get = async (path: string): Promise<string> => {
    const response = await fetch(`${started.url}${path}`)
    return `${response.status} ${response.status === 200 || response.status === 403 ? await response.text() : ""}`.trim()
  }
  return { ...started, log, get }
}

const instance = (port: number, more: object = {}) => ({ id: `127.0.0.1:${port}`, host: "127.0.0.1", port, ...more })
const route = (path: string, name: string, kind: "service" | "backend" = "service") => ({ match: "prefix" as const, path, target: { kind, name } })

it("goes by other routes, instances and answers at once", async () => {
  const [one, two] = [await backend("one"), await backend("two")]
  const { get, reload, log } = await running({ services: { a: { instances: [instance(one.port)] } }, routes: [route("/a", "a"), route("/old", "a")] })
  expect([await get("/a"), await get("/old"), await get("/new")]).toEqual(["200 one", "200 one", "404"])
  const services = { a: { instances: [instance(two.port)] }, b: { instances: [instance(one.port)] } }
  await reload(config({ services, routes: [route("/a", "a"), route("/new", "b")], defaultResponse: { statusCode: 403, body: "no" } }))
  await expect.poll(() => get("/a")).toBe("200 two")
  expect([await get("/new"), await get("/old")]).toEqual(["200 one", "403 no"])
  expect(log.join("")).toContain("the configuration counts from now on: 2 routes, 2 services")
  await reload(config({ routes: [route("/a", "a")] }))
  await expect.poll(() => get("/a")).toBe("503")
})

it("keeps what is known of instances that stay, and probes new ones before they are used", async () => {
  let well = true
  const [sick, fine, fresh] = [await backend("sick", () => 500), await backend("fine"), await backend("fresh", () => (well ? 200 : 500))]
  const check = { method: "http" as const, path: "/health", frequencySeconds: 30, timeoutSeconds: 1 }
  const instances = [instance(sick.port, { check }), instance(fine.port, { check })]
  const { get, reload } = await running({ services: { a: { instances } }, routes: [route("/", "a")] })
  const answers = async () => new Set(await Promise.all(Array.from({ length: 12 }, () => get("/"))))
  await expect.poll(() => answers()).toEqual(new Set(["200 fine"]))
  const probes = [sick.probes(), fine.probes()]
  well = false
  await reload(config({ services: { a: { instances: [...instances, instance(fresh.port, { check })] } }, routes: [route("/", "a")] }))
  expect(await answers()).toEqual(new Set(["200 fine"]))
  await expect.poll(fresh.probes).toBeGreaterThan(0)
  expect(await answers()).toEqual(new Set(["200 fine"]))
  expect([sick.probes(), fine.probes()]).toEqual(probes)
})

it("names what only a restart can change, and goes by the rest", async () => {
  const { port } = await backend("one")
  const { get, reload, log } = await running({ services: { a: { instances: [instance(port)] } } })
  await reload(
    config({ services: { a: { instances: [instance(port)] } }, routes: [route("/", "a")], gateway: { host: "127.0.0.2", serverTiming: true } }),
  )
  expect(await get("/")).toBe("200 one")
  expect(log.join("")).toContain("what the file says of gateway.host counts after a restart only")
})

it("a configuration that cannot be used changes nothing", async () => {
  const { port } = await backend("one")
  const { get, reload } = await running({ services: { a: { instances: [instance(port)] } }, routes: [route("/a", "a")] })
  const next = config({ routes: [route("/b", "a")], gateway: { upstreamTls: { ca: "/nowhere/ca.pem" } } })
  await expect(reload(next)).rejects.toMatchObject({ code: "invalid_config", message: expect.stringContaining("/nowhere/ca.pem does not exist") })
  expect([await get("/a"), await get("/b")]).toEqual(["200 one", "404"])
})

it("reloads that come together count in their order", async () => {
  const { port } = await backend("one")
  const services = { a: { instances: [instance(port)] } }
  const { get, reload } = await running({ services })
  await Promise.all(["/a", "/b", "/c"].map((path) => reload(config({ services, routes: [route(path, "a")] }))))
  expect([await get("/a"), await get("/b"), await get("/c")]).toEqual(["404", "404", "200 one"])
})

async function scriptedDocker() {
  const docker = new ScriptedDocker()
  const folder = mkdtempSync(join(tmpdir(), "meshwork-docker-"))
  const socket = join(folder, "docker.sock")
  await docker.listen(socket)
  onTestFinished(async () => {
    await docker.close()
    rmSync(folder, { recursive: true })
  })
  return { docker, env: { DOCKER_HOST: `unix://${socket}` } }
}

it("looks for containers from the moment a backend needs them", async () => {
  const { docker, env } = await scriptedDocker()
  docker.summaries = [sampleSummary("one", (await backend("one")).port, { app: "one" })]
  const { get, reload } = await running({}, env)
  expect([await get("/b"), docker.asked.length]).toEqual(["404", 0])
  await reload(config({ backends: { b: { matchLabels: { app: "one" } } }, routes: [route("/b", "b", "backend")] }))
  await expect.poll(() => get("/b")).toBe("200 one")
})

it("changes what labels make an instance, and leaves routes that containers ask for where they are", async () => {
  const { docker, env } = await scriptedDocker()
  const [one, two] = [await backend("one"), await backend("two")]
  docker.summaries = [
    sampleSummary("one", one.port, { app: "one", "meshwork.service": "own", "meshwork.path_prefix": "/own" }),
    sampleSummary("two", two.port, { app: "two" }),
  ]
  const gateway = { docker: {} }
  const { get, reload } = await running({ gateway }, env)
  await expect.poll(() => get("/own")).toBe("200 one")
  const withBackend = (app: string) =>
    config({
      gateway,
      backends: { b: { matchLabels: { app } } },
      routes: [route("/b", "b", "backend")],
      defaultResponse: { statusCode: 403, body: "" },
    })
  await reload(withBackend("one"))
  expect(await get("/own")).toBe("200 one")
  await expect.poll(() => get("/b")).toBe("200 one")
  await reload(withBackend("two"))
  await expect.poll(() => get("/b")).toBe("200 two")
  expect([await get("/own"), await get("/nowhere")]).toEqual(["200 one", "403"])
})
