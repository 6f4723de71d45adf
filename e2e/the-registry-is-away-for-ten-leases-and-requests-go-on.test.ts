import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { sendGets } from "./support/load.ts"
import { startMember } from "./support/members.ts"
import { createMesh } from "./support/mesh.ts"

// Ten minutes for leases of a minute, at a twentieth of the time.
const ttlSeconds = 3
const awaySeconds = 10 * ttlSeconds

it("no GET fails while the registry is away, an instance dies and another one starts; when it is back, it knows who lives", {
  timeout: 180_000,
}, async () => {
  const mesh = await createMesh({ storage: "memory", routes: "  - { pathPrefix: /, service: member }\n" })
  const discovery = await mesh.startDiscovery()
  await mesh.startGateway()
  const start = () => startMember({ discoveryUrl: mesh.discoveryUrl, ttlSeconds, check: 1 })
  const [doomed, ...living] = await Promise.all([start(), start(), start(), start()])
  const serving = async (): Promise<string[]> =>
    (await mesh.instances("member")).filter(({ standing }) => standing === "serving").map(({ host, port }) => `${host}:${port}`)
  await eventually("all serve", 10_000, async () => expect(await serving()).toHaveLength(4))
  await eventually("the gateway answers", 10_000, () => fetch(mesh.gatewayUrl).then((response) => expect(response.status).toBe(200)))

  const load = sendGets(mesh.gatewayUrl, 100_000, 4, 10)
  discovery.kill("SIGKILL")
  await discovery.ended
  const leftAt = performance.now()
  await new Promise((resolve) => setTimeout(resolve, (awaySeconds * 1000) / 3))
  doomed?.kill("SIGKILL")
  const late = await start()
  const answered = load.answered()
  await new Promise((resolve) => setTimeout(resolve, awaySeconds * 1000 - (performance.now() - leftAt)))
  expect(load.answered()).toBeGreaterThan(answered + 200)

  await mesh.startDiscovery()
  const expected = [...living, late].map(({ address }) => address).sort()
  await eventually("it knows who lives", 10_000, async () => expect((await serving()).sort()).toEqual(expected))
  await eventually("the gateway uses the new one", 10_000, async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, async () => (await fetch(mesh.gatewayUrl)).text()))
    expect(answers).toContain(late.address)
  })
  load.stop()
  expect((await load.finish()).failures).toEqual([])
})
