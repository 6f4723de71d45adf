import { ManualClock } from "@meshwork/contract/testing"
import { SharedData } from "@meshwork/registry-core/testing"
import { describe, expect, it } from "vitest"
import { hostForm, startLyft } from "../../testing/lyft-bench.ts"

const second = 1000

async function twoServers() {
  const clock = new ManualClock()
  const data = new SharedData(clock)
  const [here, there] = [data.storage(), data.storage()]
  const [a, b] = [await startLyft({ clock, storage: here }), await startLyft({ clock, storage: there })]
  await clock.advance(1 * second)
  /** What needs the storage is answered once its clock goes on. */
  const during = async <T>(work: Promise<T>): Promise<T> => {
    let over = false
    const done = work.finally(() => (over = true))
    while (!over) {
      await clock.advance(10)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return done
  }
  return { clock, here, a, b, during }
}

describe("over a shared storage", () => {
  it("a host that checks in at one server is listed at every one, with a check-in right to half a ttl", async () => {
    const { clock, a, b, during } = await twoServers()
    await during(a.register("s"))
    for (let minute = 1; minute <= 30; minute++) {
      await clock.advance(60 * second)
      await during(a.register("s"))
    }
    await clock.advance(second)
    expect(await b.addresses("s")).toEqual(["10.0.0.1:8080"])
    const [there] = await b.hosts("s")
    expect(clock.now() - Date.parse(there.last_check_in.replace(" ", "T"))).toBeLessThanOrEqual(302 * second)
    await clock.advance(602 * second)
    expect([await a.addresses("s"), await b.addresses("s")]).toEqual([[], []])
  })

  it("hosts turn to another server at any time", async () => {
    const { clock, a, b, during } = await twoServers()
    await during(a.register("s"))
    for (let step = 1; step <= 12; step++) {
      await clock.advance(150 * second)
      await during((step % 2 === 0 ? a : b).register("s"))
      expect([await a.addresses("s"), await b.addresses("s")]).toEqual([["10.0.0.1:8080"], ["10.0.0.1:8080"]])
    }
  })
})

describe("while the storage is not reached", () => {
  it("queries answer from memory and say for how long", async () => {
    const { clock, here, a, during } = await twoServers()
    await during(a.register("s"))
    const queries = ["/v1/registration/s", "/v1/registration/repo/payments"]
    for (const query of queries) expect((await a.call(query)).headers.get("meshwork-stale")).toBe(null)
    here.cut = true
    await clock.advance(20 * second)
    for (const query of queries) {
      const { status, json, headers } = await a.call(query)
      expect([status, json.hosts.length]).toEqual([200, 1])
      expect(Number(headers.get("meshwork-stale"))).toBeGreaterThanOrEqual(18)
      expect(Number(headers.get("meshwork-stale"))).toBeLessThanOrEqual(20)
    }
    here.cut = false
    await clock.advance(5 * second)
    for (const query of queries) expect((await a.call(query)).headers.get("meshwork-stale")).toBe(null)
  })

  it("changes get 503 with Retry-After, also about hosts that another server may know", async () => {
    const { clock, here, a, during } = await twoServers()
    await during(a.register("s"))
    here.cut = true
    await clock.advance(20 * second)
    const weight = { load_balancing_weight: "5" }
    const answers = [
      await a.register("s", { ip: "10.0.0.2" }),
      await a.post("/v1/registration/s", hostForm({ revision: "next" })),
      await a.call("/v1/registration/s/10.0.0.1", { method: "DELETE" }),
      await a.call("/v1/registration/s/10.0.0.9", { method: "DELETE" }),
      await a.post("/v1/loadbalancing/s", weight),
      await a.post("/v1/loadbalancing/t", weight),
      await a.post("/v1/loadbalancing/s/10.0.0.1", weight),
      await a.post("/v1/loadbalancing/s/10.0.0.9", weight),
    ]
    expect(answers.map(({ status, json }) => [status, json.code])).toEqual(answers.map(() => [503, "storage_unavailable"]))
    for (const { headers } of answers) expect(Number(headers.get("retry-after"))).toBeGreaterThan(0)
    expect((await a.register("s", { port: "x" })).status).toBe(400)
    expect((await a.post("/v1/loadbalancing/s", { load_balancing_weight: "0" })).status).toBe(400)
  })
})
