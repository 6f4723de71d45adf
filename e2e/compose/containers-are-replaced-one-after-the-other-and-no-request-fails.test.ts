import { expect, it } from "vitest"
import { composedMesh, composeReason } from "../support/compose.ts"
import { eventually } from "../support/eventually.ts"
import { sendGets } from "../support/load.ts"
import { getOk } from "../support/mesh.ts"

it.skipIf(composeReason)(
  "instances and discovery servers are restarted one after the other under load: no request fails, no registration is lost",
  async () => {
    const mesh = await composedMesh()
    const serving = async (url: string): Promise<string[]> => {
      const lists = await Promise.all(["orders", "payment"].map((service) => getOk(`${url}/v1/services/${service}/instances?standing=serving`)))
      return lists.flatMap((list) => (list as { instances: { id: string }[] }).instances.map(({ id }) => id)).sort()
    }
    const load = sendGets(`${mesh.gatewayUrl}/api/orders/7`, 100_000, 8, 10)
    const containers = ["payment", "orders"].flatMap((service) => [mesh.container(service, 1), mesh.container(service, 2)])
    for (const container of containers) {
      await mesh.docker("restart", "-t", "15", container)
      await mesh.healthy(container)
      await eventually("four serve", 20_000, async () => expect(await serving(mesh.discoveryUrls[0])).toHaveLength(4))
    }
    const before = await serving(mesh.discoveryUrls[0])
    for (const [index, service] of ["discovery-1", "discovery-2"].entries()) {
      const url = mesh.discoveryUrls[index] ?? ""
      const begin = performance.now()
      await mesh.docker("stop", "-t", "15", mesh.container(service))
      // Docker would kill it after ten.
      expect(performance.now() - begin).toBeLessThan(5000)
      expect(await mesh.docker("inspect", "-f", "{{.State.ExitCode}}", mesh.container(service))).toBe("0")
      // The others serve all of them, though those that this one kept have to find another server.
      expect(await serving(mesh.discoveryUrls[1 - index] ?? "")).toEqual(before)
      await mesh.docker("start", mesh.container(service))
      await mesh.healthy(mesh.container(service))
      await eventually("it serves all of them", 20_000, async () => expect(await serving(url)).toEqual(before))
    }
    load.stop()
    const report = await load.finish()
    expect(report.failures).toEqual([])
    expect(report.bodies.length).toBeGreaterThan(1000)
  },
)
