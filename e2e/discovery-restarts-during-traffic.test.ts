import { expect, it } from "vitest"
import { eventually } from "./support/eventually.ts"
import { sendGets } from "./support/load.ts"
import { createMesh, getOk } from "./support/mesh.ts"

it.each(["sqlite", "memory"])("no request fails and no instance is lost when discovery on %s is killed and restarted", async (storage) => {
  const mesh = await createMesh(storage === "memory" ? { storage } : {})
  const discovery = await mesh.startDiscovery()
  await mesh.startGateway()
  const shop = await Promise.all([mesh.startShop("payment"), mesh.startShop("payment"), mesh.startShop("orders"), mesh.startShop("orders")])
  const allServe = async () => {
    const both = [...(await mesh.instances("payment")), ...(await mesh.instances("orders"))]
    expect(
      both
        .filter((instance) => instance.standing === "serving")
        .map((instance) => `${instance.host}:${instance.port}`)
        .sort(),
    ).toEqual(shop.map((instance) => instance.address).sort())
  }
  await eventually("all four serve", 10_000, allServe)
  await eventually("the gateway answers", 10_000, () => getOk(`${mesh.gatewayUrl}/api/orders/7`))

  const load = sendGets(`${mesh.gatewayUrl}/api/orders/7`, 5000, 8, 20)
  await eventually("traffic flows", 30_000, () => expect(load.answered()).toBeGreaterThan(200))
  discovery.kill("SIGKILL")
  await discovery.ended
  const before = load.answered()
  await eventually("traffic flows without discovery", 30_000, () => expect(load.answered()).toBeGreaterThan(before + 500))
  await mesh.startDiscovery()
  await eventually("all four serve again", 15_000, allServe)
  const after = load.answered()
  await eventually("traffic flows on", 30_000, () => expect(load.answered()).toBeGreaterThan(after + 200))
  load.stop()
  expect((await load.finish()).failures).toEqual([])

  const late = await mesh.startShop("orders")
  await eventually("the gateway hears of a new instance", 10_000, async () => {
    expect(JSON.stringify(await getOk(`${mesh.gatewayUrl}/api/orders/7`))).toContain(late.address)
  })
})
