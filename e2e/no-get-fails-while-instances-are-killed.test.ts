import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { sendGets } from "./support/load.ts"
import { createMesh, getOk } from "./support/mesh.ts"

const leaseAndSlackMs = 12_000

it("no GET fails while a payment and an orders instance are killed, and new ones are used", async () => {
  const mesh = await createMesh()
  await mesh.startDiscovery()
  await mesh.startGateway()
  const [payment, orders] = await Promise.all([
    mesh.startShop("payment"),
    mesh.startShop("orders"),
    mesh.startShop("payment"),
    mesh.startShop("orders"),
  ])
  await eventually("all four serve", 10_000, async () => {
    const both = [...(await mesh.instances("payment")), ...(await mesh.instances("orders"))]
    expect(both.map((instance) => instance.standing)).toEqual(["serving", "serving", "serving", "serving"])
  })
  await eventually("the gateway answers", 10_000, () => getOk(`${mesh.gatewayUrl}/api/orders/7`))

  const load = sendGets(`${mesh.gatewayUrl}/api/orders/7`, 2000, 16, 5)
  await eventually("a quarter is answered", 30_000, () => expect(load.answered()).toBeGreaterThan(500))
  payment.kill("SIGKILL")
  await eventually("half is answered", 30_000, () => expect(load.answered()).toBeGreaterThan(1000))
  orders.kill("SIGKILL")
  const killedAt = performance.now()
  const report = await load.finish()
  expect(report.failures).toEqual([])
  expect(report.bodies).toHaveLength(2000)
  const early = report.bodies.slice(0, 400).join()
  expect([early.includes(payment.address), early.includes(orders.address)]).toEqual([true, true])

  await eventually("the killed ones stop serving", leaseAndSlackMs, async () => {
    const serving = [...(await mesh.instances("payment")), ...(await mesh.instances("orders"))].filter((instance) => instance.standing === "serving")
    expect(serving.map((instance) => `${instance.host}:${instance.port}`)).not.toContain(payment.address)
    expect(serving.map((instance) => `${instance.host}:${instance.port}`)).not.toContain(orders.address)
  })
  await eventually("the killed ones leave the list", leaseAndSlackMs, async () => {
    expect([(await mesh.instances("payment")).length, (await mesh.instances("orders")).length]).toEqual([1, 1])
  })
  expect(performance.now() - killedAt).toBeLessThan(2 * leaseAndSlackMs)

  const replacement = await mesh.startShop("payment")
  await eventually("the replacement is used", 10_000, async () => {
    expect(JSON.stringify(await getOk(`${mesh.gatewayUrl}/api/orders/7`))).toContain(replacement.address)
  })
})
