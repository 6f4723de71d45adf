import { it } from "vitest"
import { createEtcd, hasEtcd } from "./support/etcd-process.ts"
import { followGuide } from "./support/guide.ts"

it("five minutes lead from an empty folder to a service behind the gateway", () => followGuide("docs/guides/five-minutes.md"))

it("aio-request's client and server side have their counterparts", () => followGuide("docs/guides/migrating-from-aio-request.md"))

it("what operations describe can be done: every day, backup, another token", () => followGuide("docs/guides/operations.md"))

it("security holds what it says of tokens and of the edge", () => followGuide("docs/guides/security.md"))

it("the HTTP API answers curl as its page says", () => followGuide("docs/reference/http-api.md"))

it.skipIf(!hasEtcd())("Empusa's commands do what they did, and a discovery server takes over its tree", async () => {
  const etcd = await createEtcd()
  await etcd.start()
  await followGuide("docs/guides/migrating-from-empusa.md", { 2379: etcd.endpoint.split(":")[1] ?? "" })
})
