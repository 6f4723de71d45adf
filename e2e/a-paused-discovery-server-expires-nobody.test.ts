import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { journalOf } from "./support/journal.ts"
import { sendGets } from "./support/load.ts"
import { startMember } from "./support/members.ts"
import { createMesh, getOk } from "./support/mesh.ts"

const ttlSeconds = 3

it("a discovery server that stands still for two lease times loses no instance and fails no request", async () => {
  const mesh = await createMesh({ storage: "memory", routes: "  - { pathPrefix: /, service: member }\n" })
  const discovery = await mesh.startDiscovery()
  await mesh.startGateway()
  const members = await Promise.all(Array.from({ length: 6 }, () => startMember({ discoveryUrl: mesh.discoveryUrl, ttlSeconds })))
  const allServe = async () => {
    const instances = await mesh.instances("member")
    expect(instances.map(({ standing }) => standing)).toEqual(members.map(() => "serving"))
  }
  await eventually("all serve", 10_000, allServe)
  await eventually("the gateway answers", 10_000, () => fetch(mesh.gatewayUrl).then((response) => expect(response.status).toBe(200)))

  const load = sendGets(mesh.gatewayUrl, 10_000, 4, 10)
  discovery.kill("SIGSTOP")
  await new Promise((resolve) => setTimeout(resolve, 2 * ttlSeconds * 1000))
  discovery.kill("SIGCONT")
  await eventually("it answers again", 5000, () => getOk(`${mesh.discoveryUrl}/ready`))
  await allServe()
  // What ran out by mistake would do so within a lease from here on.
  const limit = performance.now() + (ttlSeconds + 1) * 1000
  while (performance.now() < limit) {
    await allServe()
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  load.stop()
  expect((await load.finish()).failures).toEqual([])
  const happened = (await journalOf(mesh.discoveryUrl, "member")).map(({ what }) => what)
  expect(happened.filter((what) => what !== "registered")).toEqual([])
})
