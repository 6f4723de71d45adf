import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { expect, it, onTestFinished } from "vitest"
import { createEtcd, hasEtcd } from "./support/etcd-process.ts"
import { eventually } from "./support/eventually.ts"
import { createMesh } from "./support/mesh.ts"
import { meshwork } from "./support/programs.ts"

async function backend(text: string): Promise<string> {
  const server = createServer((_, response) => response.end(text))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

it.skipIf(!hasEtcd())("what etcdctl puts is routed to, what the SDK registers is listed and has its location in etcd", async () => {
  const etcd = await createEtcd()
  await etcd.start()
  const routes = "  - { pathPrefix: /plain, service: plain }\n  - { pathPrefix: /api/payments, service: payment }\n"
  const mesh = await createMesh({ storage: `etcd://${etcd.endpoint}/mesh`, routes })
  await mesh.startDiscovery()
  await mesh.startGateway()
  const ask = async (path: string) => {
    const response = await fetch(`${mesh.gatewayUrl}${path}`, { signal: AbortSignal.timeout(5000) })
    return [response.status, await response.text()] as const
  }
  const service = async (...args: string[]) => {
    const run = meshwork(`service ${args.join(" ")}`, ["service", ...args, "--etcd-endpoint", etcd.endpoint, "--tree-root", "mesh"])
    expect(await run.ended).toBe(0)
    return run.stdout()
  }

  const address = await backend("plain text")
  await etcd.ctl("put", "/mesh/service/plain/p1", address)
  await eventually("the gateway knows it", 5000, async () => expect(await ask("/plain/x")).toEqual([200, "plain text"]))
  const details = meshwork("service get", ["service", "get", "plain", "p1", "--server", mesh.discoveryUrl])
  expect(await details.ended).toBe(0)
  expect(details.stdout()).toMatch(/^health +unknown: not probed yet/m)
  expect(details.stdout()).not.toContain("1970")
  await service("drain", "plain", "p1")
  await eventually("the server drains it", 5000, async () =>
    expect((await mesh.instances("plain")).map(({ standing }) => standing)).toEqual(["draining"]),
  )
  expect(await etcd.content("/mesh/service/plain/")).toEqual({ "/mesh/service/plain/p1": address })

  const { address: payment } = await mesh.startShop("payment")
  const listed = JSON.parse(await service("list", "--format", "json")) as { service: string; location: string; ttl: number | null }[]
  expect(listed).toEqual([
    { service: `payment/${payment}`, location: payment, ttl: expect.any(Number) },
    { service: "plain/p1", location: address, ttl: null },
  ])
  expect(await etcd.content("/mesh/service/payment/")).toEqual({ [`/mesh/service/payment/${payment}`]: payment })

  await etcd.ctl("del", "/mesh/service/plain/p1")
  await eventually("the gateway forgets it", 5000, async () => expect((await ask("/plain/x"))[0]).toBe(503))
  await eventually("its record goes too", 5000, async () => expect(await etcd.content("/mesh/meshwork/record/plain/")).toEqual({}))
})
