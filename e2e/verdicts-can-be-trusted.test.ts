import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { startCheckedService } from "./support/checked-service.ts"
import { eventually } from "./support/eventually.ts"
import { journalOf } from "./support/journal.ts"
import { createMesh, getOk, type Mesh } from "./support/mesh.ts"
import { createRemoteHost, namespacesMissing } from "./support/network-namespace.ts"
import { freePorts, launch, meshwork, root, scratchFolder } from "./support/programs.ts"

const routes = "  - { pathPrefix: /, service: api }\n"
const check = { method: "http", path: "/health", frequencySeconds: 0.5, timeoutSeconds: 1 }
const register = async (mesh: Mesh, port: number, id: string, more: object = {}) => {
  const body = JSON.stringify({ host: "127.0.0.1", port, ttlSeconds: 0, check, ...more })
  const headers = { "content-type": "application/json" }
  const response = await fetch(`${mesh.discoveryUrl}/v1/services/api/instances/${id}`, { method: "PUT", headers, body })
  expect(response.ok).toBe(true)
}
const standingOf = async (mesh: Mesh, id: string) => (await mesh.instances("api")).find((instance) => instance.id === id)?.standing
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

it("a service that flaps every second does not make the gateway's choice flap, and recovers once it is steady", async () => {
  const [steady, shaky] = [await startCheckedService("steady"), await startCheckedService("shaky")]
  const mesh = await createMesh({ storage: "memory", routes })
  await mesh.startDiscovery()
  await mesh.startGateway()
  await register(mesh, steady.port, "steady")
  await register(mesh, shaky.port, "shaky")
  await eventually("both serve", 10_000, async () => expect(await standingOf(mesh, "shaky")).toBe("serving"))
  const flapping = setInterval(() => (shaky.health = shaky.health === 200 ? 500 : 200), 1000)
  await pause(12_000)
  const before = (await journalOf(mesh.discoveryUrl, "api")).length
  const requests = shaky.requests.length
  const limit = performance.now() + 10_000
  while (performance.now() < limit) {
    expect((await fetch(mesh.gatewayUrl)).headers.get("x-from")).toBe("steady")
    await pause(20)
  }
  clearInterval(flapping)
  shaky.health = 200
  const happened = await journalOf(mesh.discoveryUrl, "api")
  expect(happened.slice(0, happened.length - before).filter(({ what }) => what === "passing")).toEqual([])
  expect(shaky.requests.length).toBe(requests)
  const detail = (await getOk(`${mesh.discoveryUrl}/v1/services/api/instances/shaky`)) as { why: string; probing: { penalty: number; next: string } }
  expect(detail.why).toMatch(/it flaps \(penalty \d\.\d\), so it passes again after \d+ s without a failure$/)
  expect(detail.probing.penalty).toBeGreaterThan(1)
  await eventually("it serves again", 40_000, async () => expect(await standingOf(mesh, "shaky")).toBe("serving"))
  await eventually("it is asked again", 5000, async () => {
    await fetch(mesh.gatewayUrl)
    expect(shaky.requests.length).toBeGreaterThan(requests)
  })
})

it("neither a registry that is killed and started again nor a second registration sends traffic to an instance that was failing", async () => {
  const [well, sick] = [await startCheckedService("well"), await startCheckedService("sick")]
  sick.health = 500
  const mesh = await createMesh({ routes })
  let discovery = await mesh.startDiscovery()
  await mesh.startGateway()
  await register(mesh, well.port, "well", { boot: "w" })
  await register(mesh, sick.port, "sick", { boot: "s" })
  await eventually("one serves", 10_000, async () =>
    expect([await standingOf(mesh, "well"), await standingOf(mesh, "sick")]).toEqual(["serving", "out"]),
  )
  await eventually("the gateway answers", 10_000, async () => expect((await fetch(mesh.gatewayUrl)).status).toBe(200))
  let asking = true
  const load = (async () => {
    while (asking) await fetch(mesh.gatewayUrl).then((response) => response.text())
  })()
  for (let round = 0; round < 3; round++) {
    await register(mesh, sick.port, "sick", { boot: "s" })
    discovery.kill("SIGKILL")
    await discovery.ended
    discovery = await mesh.startDiscovery()
    await register(mesh, sick.port, "sick", { boot: "s" })
    await pause(500)
  }
  asking = false
  await load
  expect(sick.requests).toEqual([])
  // A new process is probed at once, however long ago its predecessor was.
  sick.health = 200
  await register(mesh, sick.port, "sick", { boot: "t", check: { ...check, frequencySeconds: 3600 } })
  await eventually("the successor serves", 2000, async () => expect(await standingOf(mesh, "sick")).toBe("serving"))
})

it("a server that stands still declares nobody failing for its own pause", async () => {
  const services = await Promise.all(Array.from({ length: 5 }, (_, n) => startCheckedService(`s${n}`)))
  const mesh = await createMesh({ storage: "memory", routes })
  const discovery = await mesh.startDiscovery()
  for (const [n, service] of services.entries()) await register(mesh, service.port, `s${n}`, { check: { ...check, frequencySeconds: 0.1 } })
  const allServe = async () => expect((await mesh.instances("api")).map(({ standing }) => standing)).toEqual(services.map(() => "serving"))
  await eventually("all serve", 10_000, allServe)
  // Probes that are under way when it stops: their answers come while it cannot hear them, and their connections are cut.
  for (const service of services) service.health = 0
  await pause(250)
  discovery.kill("SIGSTOP")
  await pause(30_000)
  for (const service of services) service.health = 200
  discovery.kill("SIGCONT")
  await eventually("it answers again", 5000, () => getOk(`${mesh.discoveryUrl}/ready`))
  const limit = performance.now() + 3000
  while (performance.now() < limit) {
    await allServe()
    await pause(50)
  }
  expect((await journalOf(mesh.discoveryUrl, "api")).filter(({ what }) => what === "failing")).toEqual([])
})

it.skipIf(namespacesMissing !== undefined)("a server that is cut off from the network blacks out no service, and finds who died alone", async () => {
  const hosts = [0, 1, 2].map((number) => createRemoteHost(number))
  const [port] = await freePorts(1)
  const program = 'require("http").createServer((q, s) => s.end("ok")).listen(+process.argv[2], process.argv[1], () => console.log("listens"))'
  const servers = hosts.map(({ within, address }) => {
    const [command, ...args] = [...within, process.execPath, "-e", program, address, String(port)]
    return launch(`server on ${address}`, command, args)
  })
  for (const server of servers) await eventually("it listens", 15_000, () => expect(server.stdout()).toContain("listens"))
  const folder = scratchFolder()
  const [discoveryPort] = await freePorts(1)
  const instances = hosts.map(({ address }) => `"${address}:${port}"`).join(", ")
  writeFileSync(
    join(folder, "meshwork.yaml"),
    `discovery: { port: ${discoveryPort}, storage: memory }
services: { api: { instances: [${instances}], check: { method: http, path: /, frequency: 1s, timeout: 1s } } }
`,
  )
  const discovery = meshwork("discovery", ["discovery", "-c", "meshwork.yaml"], { cwd: folder })
  const url = `http://127.0.0.1:${discoveryPort}`
  const standings = async () => {
    const list = (await getOk(`${url}/v1/services/api/instances`)) as { instances: { host: string; standing: string }[] }
    return hosts.map(({ address }) => list.instances.find(({ host }) => host === address)?.standing)
  }
  const all = ["serving", "serving", "serving"]
  await eventually("all serve", 15_000, async () => expect(await standings()).toEqual(all))
  for (const host of hosts) host.cut()
  const limit = performance.now() + 15_000
  while (performance.now() < limit) {
    expect(await standings()).toEqual(all)
    await pause(100)
  }
  expect(discovery.stderr()).toContain("cut off from the network")
  for (const host of hosts) host.mend()
  await eventually("it hears them again", 10_000, () => expect(discovery.stderr()).toContain("other machines answer again"))
  hosts[1]?.cut()
  await eventually("the one is noticed", 6000, async () => expect(await standings()).toEqual(["serving", "out", "serving"]))
})

it.skipIf(namespacesMissing !== undefined)(
  "a server that has lost its own network declares nobody failing, not even where there is but one host",
  async () => {
    const host = createRemoteHost(9)
    const service = createServer((_, response) => response.end())
    await new Promise<void>((resolve) => service.listen(0, host.hereAddress, resolve))
    const stop = async () => {
      service.closeAllConnections()
      await new Promise((resolve) => service.close(resolve))
    }
    onTestFinished(stop)
    const folder = scratchFolder()
    const { port } = service.address() as AddressInfo
    const instances = `["${host.hereAddress}:${port}"]`
    const check = "{ method: http, path: /, frequency: 0.5s, timeout: 1s }"
    writeFileSync(join(folder, "meshwork.yaml"), `discovery: { storage: memory }\nservices: { api: { instances: ${instances}, check: ${check} } }\n`)
    const [command, ...args] = [...host.within, process.execPath, join(root, "apps/cli/bin/meshwork.js"), "discovery", "-c", "meshwork.yaml"]
    const discovery = launch("discovery", command, args, { cwd: folder })
    const ask = `fetch("http://127.0.0.1:8008/v1/services/api/instances").then((r) => r.json()).then((l) => console.log(l.instances[0].standing))`
    const standing = async () => {
      const [asker, ...rest] = [...host.within, process.execPath, "-e", ask]
      const asked = launch("question", asker, rest)
      await asked.ended
      return asked.stdout().trim()
    }
    await eventually("it serves", 15_000, async () => expect(await standing()).toBe("serving"))
    host.unplug()
    await eventually("it knows whose fault it is", 10_000, () => expect(discovery.stderr()).toContain("cut off from the network"))
    const limit = performance.now() + 5000
    while (performance.now() < limit) expect(await standing()).toBe("serving")
    host.plug()
    await eventually("it hears it again", 10_000, () => expect(discovery.stderr()).toContain("other machines answer again"))
    await stop()
    await eventually("the end of the service is noticed", 10_000, async () => expect(await standing()).toBe("out"))
  },
)
