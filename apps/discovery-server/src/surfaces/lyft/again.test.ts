import { ManualClock } from "@meshwork/contract/testing"
import { describe, expect, it, test } from "vitest"
import { requiredTags, sharedLyft, startLyft } from "../../testing/lyft-bench.ts"

const lyft = sharedLyft()
const tags = (changes: object) => JSON.stringify({ ...requiredTags, ...changes })
const revisionOf = async (service: string) => (await lyft().call(`/v1/services/${service}/instances`)).json.revision
const path = (service: string) => `/v1/services/${service}/instances/10.0.0.1:8080`

describe("a registration that comes again", () => {
  it("unchanged is a heartbeat: no change, a later check-in", async () => {
    const clock = new ManualClock()
    const { call, register, hosts } = await startLyft({ clock })
    await register("s")
    const { revision } = (await call("/v1/services/s/instances")).json
    await clock.advance(300_000)
    expect(await register("s")).toMatchObject({ status: 200, text: "{}" })
    expect((await call("/v1/services/s/instances")).json.revision).toBe(revision)
    expect(await hosts("s")).toMatchObject([{ last_check_in: "2023-11-14 22:18:20.000000+00:00" }])
  })

  it.each([
    ["its tags in another order", { tags: JSON.stringify(Object.fromEntries(Object.entries(requiredTags).toReversed())) }],
    ["some of its tags", { tags: JSON.stringify(requiredTags) }],
    ["its port in another spelling", { port: " 08080" }],
    ["an unknown field", { more: "x" }],
  ])("with %s is a heartbeat", async (what, changes) => {
    await lyft().register(what, { tags: tags({ a: 1, load_balancing_weight: 3, canary: true }) })
    const revision = await revisionOf(what)
    expect(await lyft().register(what, changes)).toMatchObject({ status: 200 })
    expect(await revisionOf(what)).toBe(revision)
  })

  test.each<[what: string, changes: Record<string, string | undefined>, shown: object]>([
    ["another revision", { revision: "v2" }, { revision: "v2", service_repo_name: "payments" }],
    ["another repo", { service_repo_name: "other" }, { service_repo_name: "other", revision: "cafe01" }],
    ["no repo", { service_repo_name: undefined }, { service_repo_name: "" }],
    ["an empty repo", { service_repo_name: "" }, { service_repo_name: "" }],
    ["another az", { tags: tags({ az: "z2" }) }, { tags: { az: "z2", a: 1 } }],
    ["an az that is null", { tags: tags({ az: null }) }, { tags: { az: null, a: 1 } }],
    ["an empty region", { tags: tags({ region: "" }) }, { tags: { region: "", a: 1 } }],
    ["another tag", { tags: tags({ b: 2 }) }, { tags: { ...requiredTags, a: 1, b: 2 } }],
    ["a tag of another value", { tags: tags({ a: { deep: true } }) }, { tags: { ...requiredTags, a: { deep: true } } }],
    ["a tag that is null", { tags: tags({ a: null }) }, { tags: { ...requiredTags, a: null } }],
    ["a weight", { tags: tags({ load_balancing_weight: 9 }) }, { tags: { load_balancing_weight: 9, a: 1 } }],
    ["a canary", { tags: tags({ canary: true }) }, { tags: { canary: true, a: 1 } }],
  ])("with %s is a change", async (what, changes, shown) => {
    await lyft().register(what, { tags: tags({ a: 1 }) })
    const revision = await revisionOf(what)
    expect(await lyft().register(what, changes)).toMatchObject({ status: 200, text: "{}" })
    expect(await lyft().hosts(what)).toMatchObject([shown])
    expect(await revisionOf(what)).toBeGreaterThan(revision)
  })

  it("without a tag, a weight or a canary that it had keeps them", async () => {
    const all = { ...requiredTags, a: 1, load_balancing_weight: 7, canary: true }
    await lyft().register("merged", { tags: JSON.stringify(all) })
    await lyft().register("merged", { tags: tags({ b: 2 }) })
    expect((await lyft().hosts("merged"))[0].tags).toEqual({ ...all, b: 2 })
  })

  it("an az that was null and is a name again, is a name", async () => {
    for (const az of ["z1", null, "z2"]) await lyft().register("az", { tags: tags({ az }) })
    expect((await lyft().hosts("az"))[0].tags).toEqual({ ...requiredTags, az: "z2" })
    expect((await lyft().call(path("az"))).json).toMatchObject({ zone: "z2", tags: { instance_id: "i-0a" } })
    expect((await lyft().call(path("az"))).json.tags).not.toHaveProperty("az")
  })

  it("after DELETE begins anew", async () => {
    await lyft().register("anew", { tags: tags({ a: 1, canary: true }) })
    await lyft().call("/v1/registration/anew/10.0.0.1", { method: "DELETE" })
    await lyft().register("anew")
    expect((await lyft().hosts("anew"))[0].tags).toEqual(requiredTags)
  })

  it("on another port is another host", async () => {
    await lyft().register("ports", { port: "80", revision: "v1" })
    await lyft().register("ports", { port: "81", revision: "v2" })
    expect(await lyft().hosts("ports")).toMatchObject([
      { port: 80, revision: "v1" },
      { port: 81, revision: "v2" },
    ])
  })

  it("refused changes nothing", async () => {
    await lyft().register("safe", { tags: tags({ a: "x".repeat(10_000) }) })
    const before = await lyft().hosts("safe")
    expect(await lyft().register("safe", { tags: tags({ load_balancing_weight: 0 }), revision: "v2" })).toMatchObject({ status: 400 })
    const tooMuch = await lyft().register("safe", { tags: tags({ b: "x".repeat(10_000) }), revision: "v2" })
    expect([tooMuch.status, tooMuch.text]).toEqual([400, "{}"])
    const after = await lyft().hosts("safe")
    expect({ ...after[0], last_check_in: "" }).toEqual({ ...before[0], last_check_in: "" })
  })

  it("from fifty clients at once with a tag each keeps every tag", async () => {
    const replies = await Promise.all(Array.from({ length: 50 }, (_, n) => lyft().register("crowd", { tags: tags({ [`t${n}`]: n }) })))
    expect(replies.every(({ status }) => status === 200)).toBe(true)
    expect(Object.keys((await lyft().hosts("crowd"))[0].tags)).toHaveLength(53)
  })
})

describe("the native surface", () => {
  it("shows a host as an instance with id ip:port", async () => {
    await lyft().register("shown", { tags: tags({ load_balancing_weight: 4, canary: true, team: "x" }) })
    expect((await lyft().call(path("shown"))).json).toMatchObject({
      service: "shown",
      id: "10.0.0.1:8080",
      host: "10.0.0.1",
      port: 8080,
      scheme: "http",
      origin: "lyft",
      zone: "us-east-1d",
      region: "us-east-1",
      repo: "payments",
      revision: "cafe01",
      weight: 4,
      canary: true,
      tags: { instance_id: "i-0a", team: "x" },
      ttlSeconds: 600,
      standing: "serving",
      lease: { ttlSeconds: 600 },
    })
    expect((await lyft().call(path("shown"))).json.tags).toEqual({ instance_id: "i-0a", team: "x" })
    await lyft().register("shown", { ip: "fd00::1" })
    expect((await lyft().call("/v1/services/shown/instances/[fd00::1]:8080")).status).toBe(200)
  })

  it("keeps of its instances what a POST cannot say, so that the process that registered keeps heartbeating", async () => {
    const check = { method: "ping", frequencySeconds: 3600 }
    const body = { host: "10.0.0.1", port: 8080, scheme: "https", priority: "low", check, boot: "b1", weight: 9, tags: { team: "x" } }
    await lyft().call(path("both"), { method: "PUT", body })
    expect(await lyft().register("both")).toMatchObject({ status: 200 })
    expect((await lyft().call(path("both"))).json).toMatchObject({
      scheme: "https",
      priority: "low",
      check,
      boot: "b1",
      weight: 9,
      zone: "us-east-1d",
    })
    expect((await lyft().hosts("both"))[0].tags).toEqual({ ...requiredTags, team: "x", load_balancing_weight: 9 })
    expect(await lyft().call(`${path("both")}/heartbeat`, { method: "PUT", body: { boot: "b1" } })).toMatchObject({ status: 200 })
  })

  it("says in the journal who did what", async () => {
    await lyft().register("told")
    await lyft().post("/v1/loadbalancing/told", { load_balancing_weight: "5" })
    await lyft().call("/v1/registration/told/10.0.0.1", { method: "DELETE" })
    const { entries } = (await lyft().call("/v1/journal?service=told")).json
    expect(entries.map(({ what, by }: Record<string, string>) => [what, by])).toEqual([
      ["deregistered", "api 127.0.0.1"],
      ["patched", "api 127.0.0.1"],
      ["registered", "api 127.0.0.1"],
    ])
  })
})
