import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { sendGets } from "./support/load.ts"
import { createMesh, getOk } from "./support/mesh.ts"

it("every instance of the shop is replaced under load, and no request fails", async () => {
  const mesh = await createMesh()
  await mesh.startDiscovery()
  await mesh.startGateway()
  const names = ["payment", "payment", "orders", "orders"] as const
  const shop = await Promise.all(names.map(async (name) => ({ name, program: await mesh.startShop(name) })))
  const serves = async (name: string, address: string) => {
    const instance = (await mesh.instances(name)).find(({ host, port }) => `${host}:${port}` === address)
    expect(instance?.standing).toBe("serving")
  }
  for (const { name, program } of shop) await eventually(`${name} serves`, 10_000, () => serves(name, program.address))
  await eventually("the gateway answers", 10_000, () => getOk(`${mesh.gatewayUrl}/api/orders/7`))

  const load = sendGets(`${mesh.gatewayUrl}/api/orders/7`, 20_000, 8, 5)
  await eventually("traffic flows", 30_000, () => expect(load.answered()).toBeGreaterThan(100))
  for (const { name, program } of shop) {
    const successor = await mesh.startShop(name)
    await eventually("the successor serves", 10_000, () => serves(name, successor.address))
    program.kill("SIGTERM")
    expect(await program.ended).toBe(0)
    expect((await mesh.instances(name)).map(({ host, port }) => `${host}:${port}`)).not.toContain(program.address)
  }
  load.stop()
  const report = await load.finish()
  expect(report.failures).toEqual([])
  expect(report.bodies.length).toBeGreaterThan(500)
})
