import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, it, onTestFinished } from "vitest"
import { type SpawnedRun, spawnMeshwork, until } from "../testing/spawn-meshwork.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-reload-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function backend(name: string): Promise<string> {
  const server = createServer((request, response) => response.end(`${name} ${request.url}`))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const config = (services: Record<string, string>, routes: Record<string, string>, more = ""): string => `
gateway: { port: 0, adminPort: 0, discovery: [] ${more} }
services: { ${Object.entries(services)
  .map(([name, address]) => `${name}: { instances: ["${address}"] }`)
  .join(", ")} }
routes: [ ${Object.entries(routes)
  .map(([prefix, service]) => `{ pathPrefix: ${prefix}, service: ${service} }`)
  .join(", ")} ]
`

async function started(path: string): Promise<SpawnedRun & { url: string }> {
  const mesh = spawnMeshwork(["gateway", "-c", path], {}, folder)
  const listens = (): string | undefined => /"url":"([^"]+)"/.exec(mesh.output.stderr)?.[1]
  await until(
    () => listens() !== undefined,
    () => mesh.output.stderr,
  )
  return { ...mesh, url: listens() ?? "" }
}

const get = async (url: string): Promise<string> => {
  const response = await fetch(url)
  const text = await response.text()
  return `${response.status} ${text.startsWith("{") ? "" : text}`.trim()
}

const answers = (url: string, expected: string): Promise<void> => {
  let last = ""
  return until(
    async () => (last = await get(url)) === expected,
    () => `${url} answers ${last}, not ${expected}`,
  )
}

it("goes by a changed file, keeps what it has where the new one is wrong, and fails no request meanwhile", async () => {
  const path = join(folder, "meshwork.yaml")
  const [a, b] = [await backend("a"), await backend("b")]
  writeFileSync(path, config({ a }, { "/stays": "a", "/goes": "a" }))
  const mesh = await started(path)
  let failed = 0
  let count = 0
  let going = true
  const load = (async () => {
    for (; going; count++) if ((await get(`${mesh.url}/stays/1`)) !== "200 a /stays/1") failed++
  })()
  expect(await get(`${mesh.url}/goes`)).toBe("200 a /goes")

  writeFileSync(path, config({ a, b }, { "/stays": "a", "/comes": "b" }))
  await answers(`${mesh.url}/comes`, "200 b /comes")
  expect(await get(`${mesh.url}/goes`)).toBe("404")

  writeFileSync(path, `${config({ a }, { "/stays": "a", "/broken": "nobody" })}\nroutes: 7`)
  await until(
    () => mesh.output.stderr.includes("is not accepted, so what was read before stays in use"),
    () => mesh.output.stderr,
  )
  expect(mesh.output.stderr).toMatch(/meshwork\.yaml:\d+:\d+: /)
  expect(await get(`${mesh.url}/comes`)).toBe("200 b /comes")
  rmSync(path)
  await until(
    () => mesh.output.stderr.includes("does not exist"),
    () => mesh.output.stderr,
  )
  expect(await get(`${mesh.url}/comes`)).toBe("200 b /comes")

  writeFileSync(`${path}.new`, config({ a: b }, { "/stays": "a", "/comes": "a" }))
  going = false
  await load
  renameSync(`${path}.new`, path)
  await answers(`${mesh.url}/stays/1`, "200 b /stays/1")
  expect([failed, count > 20]).toEqual([0, true])
  mesh.child.kill("SIGTERM")
  expect(await mesh.ended).toBe(0)
})

it("reads the file anew at SIGHUP, tells what takes a restart, and opens the access log anew", async () => {
  const path = join(folder, "meshwork.yaml")
  const a = await backend("a")
  const log = join(folder, "logs", "access.jsonl")
  writeFileSync(path, config({ a }, { "/a": "a" }, `, accessLog: "${log}"`))
  const mesh = await started(path)
  expect(await get(`${mesh.url}/a?secret=1`)).toBe("200 a /a?secret=1")
  await until(
    () => readFileSync(log, "utf8").includes('"path":"/a"'),
    () => readFileSync(log, "utf8"),
  )
  renameSync(log, `${log}.1`)
  writeFileSync(path, config({ a }, { "/b": "a" }, `, accessLog: "${log}", maxConnections: 7`))
  mesh.child.kill("SIGHUP")
  await answers(`${mesh.url}/b`, "200 a /b")
  await until(
    () =>
      existsSync(log) &&
      readFileSync(log, "utf8").includes('"path":"/b"') &&
      mesh.output.stderr.includes("gateway.maxConnections counts after a restart only"),
    () => `${existsSync(log) ? readFileSync(log, "utf8") : "no log"}\n${mesh.output.stderr}`,
  )
  expect(readFileSync(`${log}.1`, "utf8")).not.toContain("secret")
  mesh.child.kill("SIGTERM")
  expect(await mesh.ended).toBe(0)
})

it.skipIf(process.platform !== "linux")("SIGHUP while it starts is obeyed once it runs, and does not end it", async () => {
  const path = join(folder, "meshwork.yaml")
  const a = await backend("a")
  writeFileSync(path, config({ a }, { "/a": "a" }))
  // The start waits for two seconds for a Docker that says nothing.
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    silent.closeAllConnections()
    silent.close()
  })
  const docker = { DOCKER_HOST: `tcp://127.0.0.1:${(silent.address() as AddressInfo).port}` }
  const mesh = spawnMeshwork(["gateway", "-c", path, "--docker"], docker, folder)
  // The lowest bit of the signals it catches.
  const catches = (): boolean => /^SigCgt:.*[13579bdf]$/m.test(readFileSync(`/proc/${mesh.child.pid}/status`, "utf8"))
  while (!catches()) await new Promise((resolve) => setTimeout(resolve, 1))
  expect(mesh.output.stderr).not.toContain("listens")
  mesh.child.kill("SIGHUP")
  await until(
    () => mesh.output.stderr.includes("SIGHUP: the configuration is read anew"),
    () => mesh.output.stderr,
  )
  expect(await get(`${/"url":"([^"]+)"/.exec(mesh.output.stderr)?.[1]}/a`)).toBe("200 a /a")
  mesh.child.kill("SIGTERM")
  expect(await mesh.ended).toBe(0)
})

it("follows a link that changes its target, as mounted configurations do", async () => {
  const a = await backend("a")
  for (const version of ["one", "two"]) {
    mkdirSync(join(folder, version))
    writeFileSync(join(folder, version, "meshwork.yaml"), config({ a }, { [`/${version}`]: "a" }))
  }
  symlinkSync("one", join(folder, "data"))
  symlinkSync(join("data", "meshwork.yaml"), join(folder, "meshwork.yaml"))
  const mesh = await started(join(folder, "meshwork.yaml"))
  expect(await get(`${mesh.url}/one`)).toBe("200 a /one")
  symlinkSync("two", join(folder, "data.new"))
  renameSync(join(folder, "data.new"), join(folder, "data"))
  await answers(`${mesh.url}/two`, "200 a /two")
  expect(await get(`${mesh.url}/one`)).toBe("404")
  mesh.child.kill("SIGTERM")
  expect(await mesh.ended).toBe(0)
})

it("without a file SIGHUP ends the process, as before", async () => {
  const mesh = spawnMeshwork(["gateway", "--port", "0", "--admin-port", "0"], {}, folder)
  await until(
    () => mesh.output.stderr.includes("gateway listens"),
    () => mesh.output.stderr,
  )
  mesh.child.kill("SIGHUP")
  expect(await mesh.ended).toBe(0)
})

it("up puts what a changed file names into its registry too, and takes out what it names no more", async () => {
  const path = join(folder, "meshwork.yaml")
  const [a, b] = [await backend("a"), await backend("b")]
  const write = (services: string, routes: string): void => writeFileSync(path, `services: { ${services} }\nroutes: [ ${routes} ]\n`)
  write(`a: { instances: ["${a}"] }`, "{ pathPrefix: /a, service: a }")
  const ports = ["--port", "0", "--admin-port", "0", "--discovery-port", "0", "--storage", "memory"]
  const mesh = spawnMeshwork(["up", "-c", path, ...ports], {}, folder)
  const url = (name: string): string => new RegExp(`^ {2}${name} +(http://127\\.0\\.0\\.1:\\d+)`, "m").exec(mesh.output.stderr)?.[1] ?? ""
  await until(
    () => url("discovery") !== "",
    () => mesh.output.stderr,
  )
  await answers(`${url("gateway")}/a`, "200 a /a")
  write(`b: { instances: ["${b}"] }`, "{ pathPrefix: /b, service: b }")
  await answers(`${url("gateway")}/b`, "200 b /b")
  expect(await get(`${url("gateway")}/a`)).toBe("404")
  const list = async (service: string): Promise<number> =>
    ((await (await fetch(`${url("discovery")}/v1/services/${service}/instances`)).json()) as { instances: object[] }).instances.length
  expect([await list("a"), await list("b")]).toEqual([0, 1])
  mesh.child.kill("SIGHUP")
  await until(
    () => mesh.output.stderr.includes("SIGHUP: the configuration is read anew"),
    () => mesh.output.stderr,
  )
  mesh.child.kill("SIGTERM")
  expect(await mesh.ended).toBe(0)
})
