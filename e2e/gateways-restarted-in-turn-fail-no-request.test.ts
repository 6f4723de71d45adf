import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { eventually } from "./support/eventually.ts"
import { createMesh, getOk, type Mesh } from "./support/mesh.ts"
import { freePorts, launch, meshwork, type Program, root } from "./support/programs.ts"

interface Told {
  answered: Record<string, { GET: number; POST: number }>
  failures: string[]
  failed: number
}

/** A service that takes its time, so that something is always under way. */
async function startOrders(mesh: Mesh, id: string): Promise<void> {
  const server = createServer((request, response) => {
    request.resume()
    setTimeout(() => response.end(id), 15)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await register(mesh, "orders", id, { port: (server.address() as AddressInfo).port, ttlSeconds: 300 })
}

async function register(mesh: Mesh, service: string, id: string, record: object): Promise<void> {
  const answer = await fetch(`${mesh.discoveryUrl}/v1/services/${service}/instances/${id}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ host: "127.0.0.1", ...record }),
  })
  expect(answer.ok).toBe(true)
}

/** A gateway with a file and a folder of its own that is an instance of the service `gateway`. */
async function layGateway(mesh: Mesh, id: string): Promise<{ address: string; start: () => Promise<Program> }> {
  const [port, adminPort] = await freePorts(2)
  const file = join(mesh.folder, `${id}.yaml`)
  writeFileSync(
    file,
    `gateway: { port: ${port}, adminPort: ${adminPort}, discovery: ["${mesh.discoveryUrl}"] }
routes: [{ pathPrefix: /orders, service: orders }]`,
  )
  await register(mesh, "gateway", id, { port, ttlSeconds: 0, check: { method: "ping", frequencySeconds: 0.5 } })
  return {
    address: `127.0.0.1:${port}`,
    async start() {
      const program = meshwork(id, ["gateway", "-c", file], { cwd: mesh.folder })
      await eventually(`${id} is ready`, 20_000, () => getOk(`http://127.0.0.1:${adminPort}/ready`))
      return program
    },
  }
}

it.each([
  { how: "drained before, fail neither a GET nor a POST", drain: true },
  // The kernel resets who has just connected and has been seen by nobody, so that a POST may have to be sent again.
  { how: "simply stopped, fail neither a GET nor a POST with an Idempotency-Key", drain: false },
])("two gateways restarted in turn under load, $how", async ({ drain }) => {
  const mesh = await createMesh()
  await mesh.startDiscovery()
  await Promise.all(["o1", "o2"].map((id) => startOrders(mesh, id)))
  const gateways = await Promise.all(["g1", "g2"].map(async (id) => ({ id, ...(await layGateway(mesh, id)) })))
  const running = await Promise.all(gateways.map(({ start }) => start()))
  await eventually("both gateways serve", 20_000, async () => {
    expect((await mesh.instances("gateway")).map(({ standing }) => standing)).toEqual(["serving", "serving"])
  })
  const caller = launch("caller", process.execPath, [join(root, "e2e/programs/caller.mjs")], {
    env: { MESHWORK_SERVER: mesh.discoveryUrl, SERVICE: "gateway", TARGET: "/orders/7", ...(drain ? {} : { KEYS: "1" }) },
  })
  const told = (): Told => JSON.parse(caller.stdout().trimEnd().split("\n").at(-1) ?? "") as Told
  const answersMore = (address: string) => {
    const before = told().answered[address]?.POST ?? 0
    return eventually(`${address} answers`, 30_000, () => expect(told().answered[address]?.POST ?? 0).toBeGreaterThan(before + 100))
  }
  const setDraining = async (id: string, draining: boolean) => {
    const command = meshwork("drain", ["service", "drain", "gateway", id, ...(draining ? [] : ["--undo"]), "--server", mesh.discoveryUrl])
    expect(await command.ended).toBe(0)
  }
  await eventually("the caller calls", 20_000, () => expect(told().failed).toBe(0))
  await Promise.all(gateways.map(({ address }) => answersMore(address)))

  for (const [index, { id, address, start }] of gateways.entries()) {
    const other = gateways[1 - index]?.address ?? ""
    if (drain) await setDraining(id, true)
    running[index]?.kill("SIGTERM")
    expect(await running[index]?.ended).toBe(0)
    await answersMore(other)
    running[index] = await start()
    if (drain) await setDraining(id, false)
    await answersMore(address)
  }
  caller.kill("SIGTERM")
  expect(await caller.ended).toBe(0)
  expect(told().failures).toEqual([])
  expect(Object.keys(told().answered).sort()).toEqual(gateways.map(({ address }) => address).sort())
})
