import { join } from "node:path"
import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { createMesh, getOk } from "./support/mesh.ts"
import { launch, type Program, root } from "./support/programs.ts"

const perProcess = 25
const names = Array.from({ length: 8 }, (_, index) => `host${index}`)
const all = perProcess * names.length
const ttlSeconds = 10

/** Starts processes of 25 instances each; they do not wait for one another. */
function startFleets(discoveryUrl: string): Program[] {
  return names.map((name) => {
    const env = { MESHWORK_SERVER: discoveryUrl, SERVICES: "orders,payment", COUNT: String(perProcess), TTL: String(ttlSeconds), NAME: name }
    return launch(name, process.execPath, [join(root, "e2e/programs/fleet.mjs")], { env })
  })
}

async function end(programs: readonly Program[]): Promise<void> {
  for (const program of programs) program.kill("SIGKILL")
  await Promise.all(programs.map((program) => program.ended))
}

it.each(["sqlite", "memory"])(
  "on %s: a power cut of everything, and all start together: everyone registers once and is found again within seconds",
  async (storage) => {
    const mesh = await createMesh({ routes: "  - { pathPrefix: /, service: orders }\n", ...(storage === "memory" ? { storage } : {}) })
    /** Requests that discovery has answered since it started, by method and route. */
    const asked = async (): Promise<Record<string, number>> => {
      const text = await (await fetch(`${mesh.discoveryUrl}/metrics`)).text()
      const sums: Record<string, number> = {}
      for (const [, method, route, count] of text.matchAll(
        /^meshwork_discovery_request_duration_seconds_count\{method="(\w+)",route="([^"]+)".*\} (\d+)$/gm,
      ))
        sums[`${method} ${route}`] = (sums[`${method} ${route}`] ?? 0) + Number(count)
      return sums
    }
    const serving = async (): Promise<number> => {
      const lists = await Promise.all(["orders", "payment"].map((service) => mesh.instances(service)))
      return lists.flat().filter(({ standing }) => standing === "serving").length
    }
    let everything: Program[] = [await mesh.startDiscovery(), await mesh.startGateway(), ...startFleets(mesh.discoveryUrl)]
    await eventually("all serve", 20_000, async () => expect(await serving()).toBe(all))
    await end(everything)

    // The instances are there before the registry is, and knock in vain.
    everything = startFleets(mesh.discoveryUrl)
    await new Promise((resolve) => setTimeout(resolve, 3000))
    everything.push(await mesh.startDiscovery())
    const listened = performance.now()
    everything.push(await mesh.startGateway())
    await eventually("all serve again", 10_000, async () => expect(await serving()).toBe(all))
    await eventually("the gateway serves", 5000, () => getOkText(mesh.gatewayUrl))
    // Two thirds of a lease and more: what anyone does again and again shows.
    await new Promise((resolve) => setTimeout(resolve, ttlSeconds * 1000 - (performance.now() - listened)))
    const counts = await asked()
    const registrations = counts["PUT /v1/services/:service/instances/:id"] ?? 0
    const beats = (counts["PUT /v1/services/:service/instances/:id/heartbeat"] ?? 0) + (counts["POST /v1/heartbeats"] ?? 0)
    expect(registrations, JSON.stringify(counts)).toBeGreaterThanOrEqual(all)
    expect(registrations, JSON.stringify(counts)).toBeLessThanOrEqual(all * 1.1)
    // One in three and a third seconds, give or take a tenth.
    expect(beats, JSON.stringify(counts)).toBeLessThanOrEqual(all * 4)
    expect(Object.keys(counts).filter((route) => route.startsWith("DELETE"))).toEqual([])
    const journal = (await getOk(`${mesh.discoveryUrl}/v1/journal?limit=10000`)) as { entries: { what: string; id: string }[] }
    const registered = journal.entries.filter(({ what }) => what === "registered").map(({ id }) => id)
    expect(registered.length).toBe(new Set(registered).size)
  },
)

async function getOkText(url: string): Promise<void> {
  const response = await fetch(url)
  expect(response.status).toBe(200)
  await response.text()
}
