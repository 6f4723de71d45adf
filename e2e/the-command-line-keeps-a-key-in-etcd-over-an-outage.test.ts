import { expect, it } from "vitest"
import { createEtcd, hasEtcd } from "./support/etcd-process.ts"
import { eventually } from "./support/eventually.ts"
import { meshwork } from "./support/programs.ts"

it.skipIf(!hasEtcd())("an etcd that is away for 20 s gets its keys back; SIGTERM removes one, kill -9 leaves one to its lease", async () => {
  const etcd = await createEtcd()
  await etcd.start()
  const place = ["--etcd-endpoint", etcd.endpoint, "--tree-root", "/mesh"]
  const register = (name: string) => {
    const instance = ["--service-type", "a", "--service-name", name, "--service-location", "10.0.0.7:9001"]
    return meshwork(name, ["service", "register", ...place, ...instance, "--ttl", "5", "--refresh-every", "2"])
  }
  const both = { "/mesh/service/a/killed": "10.0.0.7:9001", "/mesh/service/a/stopped": "10.0.0.7:9001" }
  const [stopped, killed] = [register("stopped"), register("killed")]
  const holds = (content: Record<string, string>) => async () => expect(await etcd.content("/mesh")).toEqual(content)
  await eventually("both are registered", 15_000, holds(both))

  await etcd.stop()
  const since = performance.now()
  await eventually("the outage lasted", 30_000, () => {
    if (performance.now() - since < 20_000) throw new Error("not yet")
  })
  await etcd.start()
  await eventually("both are registered again", 10_000, () => {
    for (const program of [stopped, killed]) expect(program.stderr()).toContain("registered again\n")
  })
  await holds(both)()
  // What somebody removed or changed meanwhile is put back as well.
  await etcd.ctl("del", "/mesh/service/a/stopped")
  await etcd.ctl("put", "/mesh/service/a/killed", "10.0.0.9:1")
  await eventually("both are as they were", 5000, holds(both))

  stopped.kill("SIGTERM")
  expect(await stopped.ended).toBe(0)
  expect(stopped.stderr().split("\n")).toEqual([
    "service stopped (a) registered",
    `meshwork: no etcd at ${etcd.endpoint}: ECONNREFUSED; trying again until it is back`,
    "service stopped (a) registered again",
    "service stopped (a) unregistered",
    "",
  ])
  await holds({ "/mesh/service/a/killed": "10.0.0.7:9001" })()
  killed.kill("SIGKILL")
  await killed.ended
  await eventually("the lease of the other ends", 12_000, holds({}))
})
