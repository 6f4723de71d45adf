import { expect, it } from "vitest"
import { composedMesh, composeReason } from "../support/compose.ts"
import { eventually } from "../support/eventually.ts"
import { sendGets } from "../support/load.ts"
import { getOk } from "../support/mesh.ts"

it.skipIf(composeReason)(
  "a kill -9 of an instance, a discovery server, etcd or Prometheus fails no GET; the gateway is back within seconds",
  async () => {
    const mesh = await composedMesh()
    const url = `${mesh.gatewayUrl}/api/orders/7`
    const load = sendGets(url, 100_000, 8, 10)
    for (const service of ["payment", "orders", "discovery-1", "prometheus", "etcd"]) {
      const container = mesh.container(service)
      const started = await mesh.docker("inspect", "-f", "{{.State.StartedAt}}", container)
      const answered = load.answered()
      await mesh.kill9(container)
      await eventually(`${container} was started again`, 20_000, async () => {
        expect(await mesh.docker("inspect", "-f", "{{.State.StartedAt}}", container)).not.toBe(started)
      })
      await mesh.healthy(container)
      await eventually("traffic flows", 10_000, () => expect(load.answered()).toBeGreaterThan(answered + 200))
    }
    load.stop()
    const { failures, bodies } = await load.finish()
    expect(failures).toEqual([])
    expect(bodies.length).toBeGreaterThan(1000)

    await mesh.kill9(mesh.container("gateway"))
    await eventually("the gateway answers again", 20_000, () => getOk(url))
    // It remembers what it knew: from now on nothing may fail.
    const after = sendGets(url, 200, 4)
    expect((await after.finish()).failures).toEqual([])
    for (const discoveryUrl of mesh.discoveryUrls) {
      await eventually("two of each serve", 30_000, async () => {
        for (const service of ["orders", "payment"]) {
          const { instances } = (await getOk(`${discoveryUrl}/v1/services/${service}/instances?standing=serving`)) as { instances: unknown[] }
          expect(instances).toHaveLength(2)
        }
        expect(await getOk(`${discoveryUrl}/ready`)).toMatchObject({ ready: true })
      })
    }
  },
)
