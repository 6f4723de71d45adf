import { it } from "vitest"
import { createEtcd, hasEtcd } from "./support/etcd-process.ts"
import { followGuide } from "./support/guide.ts"
import { freePorts } from "./support/programs.ts"

it("five minutes lead from an empty folder to a service behind the gateway", () => followGuide("docs/guides/five-minutes.md"))

it("aio-request's client and server side have their counterparts", () => followGuide("docs/guides/migrating-from-aio-request.md"))

it("what operations describe can be done: every day, backup, another token, a gateway restarted beside another", async () => {
  const [port, adminPort] = await freePorts(2)
  await followGuide("docs/guides/operations.md", { 8081: String(port), 8010: String(adminPort) })
})

it("security holds what it says of tokens and of the edge", () => followGuide("docs/guides/security.md"))

it("the HTTP API answers curl as its page says", () => followGuide("docs/reference/http-api.md"))

it.skipIf(!hasEtcd())("Empusa's commands do what they did, and a discovery server takes over its tree", async () => {
  const etcd = await createEtcd()
  await etcd.start()
  await followGuide("docs/guides/migrating-from-empusa.md", { 2379: etcd.endpoint.split(":")[1] ?? "" })
})

it.skipIf(!hasEtcd())("several discovery servers over one etcd list what one of them took, and outlive one of them", async () => {
  const etcd = await createEtcd()
  await etcd.start()
  const [second = 0, third = 0] = await freePorts(2)
  await followGuide("docs/guides/several-servers.md", { 2379: etcd.endpoint.split(":")[1] ?? "", 8018: String(second), 8028: String(third) })
})
