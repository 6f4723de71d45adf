import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer as createHttpServer } from "node:http"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, it } from "vitest"
import { run } from "../testing/fake-context.ts"
import { spawnMeshwork, type SpawnedRun, until } from "../testing/spawn-meshwork.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-up-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

function file(text: string): string {
  const path = join(folder, "meshwork.yaml")
  writeFileSync(path, text)
  return path
}

const ports = ["--port", "0", "--admin-port", "0", "--discovery-port", "0", "--storage", "memory"]

async function urlsOf({ output }: SpawnedRun): Promise<{ gateway: string; admin: string; discovery: string }> {
  await until(
    () => /discovery {2}http:/.test(output.stderr),
    () => output.stderr,
  )
  const url = (name: string) => new RegExp(`^ {2}${name} +(http://127\\.0\\.0\\.1:\\d+)`, "m").exec(output.stderr)?.[1] ?? ""
  return { gateway: url("gateway"), admin: url("admin"), discovery: url("discovery") }
}

it("brings up a mesh that proxies to what registers, and closes at a signal that comes three times", async () => {
  const backend = createHttpServer((request, response) => response.end(`served ${request.url}`))
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve))
  const { port } = backend.address() as AddressInfo
  try {
    const mesh = spawnMeshwork(["up", "-c", file("routes: [{ pathPrefix: /api, service: echo }]"), ...ports], {}, folder)
    const { gateway, admin, discovery } = await urlsOf(mesh)
    const registered = await fetch(`${discovery}/v1/services/echo/instances/e1`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ host: "127.0.0.1", port }),
    })
    expect(registered.status).toBe(201)
    let answer = ""
    await until(
      async () => {
        const response = await fetch(`${gateway}/api/7`)
        answer = await response.text()
        return response.ok
      },
      () => `${answer}\n${mesh.output.stderr}`,
    )
    expect(answer).toBe("served /api/7")
    expect((await fetch(`${admin}/health`)).status).toBe(200)
    const list = await run(["service", "list", "--server", discovery, "--format", "json"])
    expect(JSON.parse(list.stdout)).toMatchObject([{ service: "echo", id: "e1" }])
    const mistaken = await run(["service", "list", "--server", gateway])
    expect([mistaken.code, mistaken.stdout]).toEqual([1, ""])
    expect(mistaken.stderr).toContain(`${gateway} is a gateway, not a discovery server`)
    for (const signal of ["SIGINT", "SIGINT", "SIGTERM"] as const) mesh.child.kill(signal)
    expect([await mesh.ended, mesh.output.stdout]).toEqual([0, ""])
    await expect(fetch(`${discovery}/ready`)).rejects.toThrow()
  } finally {
    backend.closeAllConnections()
    await new Promise((resolve) => backend.close(resolve))
  }
})

const serverpy = JSON.stringify({ a: { servers: ["127.0.0.1:1"], polling: { method: "ping" }, apis: ["/a"] } })

it.each([
  ["--discovery-port", "discovery.port", "{}"],
  ["--port", "gateway.port", "{}"],
  ["--admin-port", "gateway.adminPort", "{}"],
  ["--discovery-port", "meta-info.discovery_server_port", serverpy],
  ["--port", "meta-info.request_processor_port", serverpy],
])("a taken port is named together with %s and %s", async (option, key, text) => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve))
  const { port } = taken.address() as AddressInfo
  const path = file(text)
  const { output, ended } = spawnMeshwork(["up", "-c", path, ...ports, option, String(port)], {}, folder)
  expect(await ended).toBe(1)
  expect(output.stderr).toContain(`port ${port} is taken; choose another one with ${option}`)
  expect(output.stderr).toContain(`${key} in ${path}`)
  expect(output.stderr).not.toMatch(/^\s+at /m)
  await new Promise((resolve) => taken.close(resolve))
})

it("a broken file ends with 2 before anything runs", async () => {
  const path = file("gateway:\n  prot: 1\nroutes:\n  - { service: b }\n")
  const { code, stdout, stderr } = await run(["up", "-c", path])
  expect([code, stdout]).toEqual([2, ""])
  expect(stderr).toBe(
    `${path}:2:3: gateway.prot: unknown key "prot"; did you mean "port"?\n${path}:4:5: routes[0]: this route needs either path or pathPrefix\n`,
  )
})

it.each([
  ["gateway: { tls: { cert: none.pem, key: none.key } }", "gateway.tls.cert: none.pem does not exist"],
  ["gateway: { upstreamTls: { ca: none.pem } }", "gateway.upstreamTls.ca: none.pem does not exist"],
  ["gateway: { upstreamTls: { ca: . } }", "gateway.upstreamTls.ca: . cannot be read (EISDIR)"],
])("a certificate that is not there is a mistake of the configuration: %s", async (text, expected) => {
  const { output, ended } = spawnMeshwork(["gateway", "-c", file(text), "--port", "0", "--admin-port", "0"], {}, folder)
  expect([await ended, output.stderr]).toEqual([2, `meshwork: ${expected}\n`])
})
