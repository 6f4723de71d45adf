import { expect, it } from "vitest"
import { composedMesh, composeReason } from "../support/compose.ts"
import { eventually } from "../support/eventually.ts"
import { sendGets } from "../support/load.ts"
import { getOk } from "../support/mesh.ts"

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

it.skipIf(composeReason)(
  "both discovery servers are cut off from the network for two leases: no request fails, and afterwards all serve again",
  async () => {
    const mesh = await composedMesh()
    const servers = ["discovery-1", "discovery-2"]
    const network = await mesh.docker("inspect", "-f", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}", mesh.container("etcd"))
    const following = async (): Promise<number> => {
      const text = await (await fetch(`${mesh.adminUrl}/metrics`)).text()
      return Number(/^meshwork_gateway_discovery_connected (\d)$/m.exec(text)?.[1])
    }
    const load = sendGets(`${mesh.gatewayUrl}/api/orders/7`, 100_000, 8, 10)
    for (const server of servers) await mesh.docker("network", "disconnect", network, mesh.container(server))
    await pause(20_000)
    const answered = load.answered()
    await pause(1000)
    expect(load.answered()).toBeGreaterThan(answered + 50)
    for (const server of servers) await mesh.docker("network", "connect", "--alias", server, network, mesh.container(server))
    await eventually("the gateway follows one again", 60_000, async () => expect(await following()).toBe(1))
    for (const url of mesh.discoveryUrls) {
      await eventually("all serve", 60_000, async () => {
        for (const service of ["orders", "payment"]) {
          const { instances } = (await getOk(`${url}/v1/services/${service}/instances?standing=serving`)) as { instances: unknown[] }
          expect(instances).toHaveLength(2)
        }
      })
    }
    load.stop()
    expect((await load.finish()).failures).toEqual([])
  },
)
