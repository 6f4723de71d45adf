import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { startMember } from "./support/members.ts"
import { createMesh, getOk } from "./support/mesh.ts"

const standing = async (discoveryUrl: string) =>
  ((await getOk(`${discoveryUrl}/v1/services/member/instances/one`)) as { standing: string; boot: string }) ?? {}

it("killed while it drains, before it could deregister: its successor serves as soon as it has registered", async () => {
  const mesh = await createMesh({ storage: "memory", routes: "  - { pathPrefix: /, service: member }\n" })
  await mesh.startDiscovery()
  await mesh.startGateway()
  const first = await startMember({ discoveryUrl: mesh.discoveryUrl, id: "one", ttlSeconds: 30 })
  const port = Number(first.address.split(":")[1])
  first.kill("SIGTERM")
  await eventually("it drains", 3000, async () => expect((await standing(mesh.discoveryUrl)).standing).toBe("draining"))
  first.kill("SIGKILL")
  await first.ended
  await startMember({ discoveryUrl: mesh.discoveryUrl, id: "one", port, ttlSeconds: 30 })
  expect((await standing(mesh.discoveryUrl)).standing).toBe("serving")
  await eventually("the gateway uses it", 1000, async () => expect((await fetch(mesh.gatewayUrl)).status).toBe(200))
})

it("its predecessor's DELETE arrives late and removes nothing", async () => {
  const mesh = await createMesh({ storage: "memory" })
  await mesh.startDiscovery()
  const first = await startMember({ discoveryUrl: mesh.discoveryUrl, id: "one", ttlSeconds: 30 })
  const { boot } = await standing(mesh.discoveryUrl)
  first.kill("SIGKILL")
  await first.ended
  await startMember({ discoveryUrl: mesh.discoveryUrl, id: "one", ttlSeconds: 30 })
  const url = `${mesh.discoveryUrl}/v1/services/member/instances/one`
  const late = await fetch(`${url}?boot=${encodeURIComponent(boot)}`, { method: "DELETE" })
  expect([late.status, ((await late.json()) as { code: string }).code]).toEqual([404, "not_found"])
  const beat = await fetch(`${url}/heartbeat`, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ boot }) })
  expect(beat.status).toBe(404)
  expect((await standing(mesh.discoveryUrl)).standing).toBe("serving")
})
