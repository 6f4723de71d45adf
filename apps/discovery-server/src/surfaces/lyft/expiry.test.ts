import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ManualClock } from "@meshwork/contract/testing"
import { describe, expect, it, onTestFinished, test } from "vitest"
import { openStorage } from "../../storages.ts"
import { startLyft } from "../../testing/lyft-bench.ts"

const second = 1000

async function started(options: Parameters<typeof startLyft>[0] = {}) {
  const clock = new ManualClock()
  const bench = await startLyft({ clock, ...options })
  /** How many hosts either query shows. */
  const shown = async (service: string, repo = "payments") => {
    const [byService, byRepo] = await Promise.all([bench.call(`/v1/registration/${service}`), bench.call(`/v1/registration/repo/${repo}`)])
    expect([byService.status, byRepo.status]).toEqual([200, 200])
    return [byService.json.hosts.length, byRepo.json.hosts.length]
  }
  return { clock, shown, ...bench }
}

describe("a host", () => {
  test.each([
    [600, 0, true],
    [600, 1, true],
    [600, 300 * second, true],
    [600, 599_999, true],
    [600, 600_000, true],
    [600, 600_001, false],
    [600, 600_500, false],
    [600, 601_000, false],
    [600, 24 * 3600 * second, false],
    [3, 3000, true],
    [3, 3001, false],
    [86_400, 86_400_000, true],
    [86_400, 86_400_001, false],
    [4.5, 4500, true],
    [4.5, 4501, false],
  ])("with HOST_TTL %d s is there after %d ms: %s", async (hostTtlSeconds, ms, there) => {
    const { clock, register, shown } = await started({ lyft: { hostTtlSeconds } })
    await register("s")
    await clock.advance(ms)
    const count = there ? 1 : 0
    expect(await shown("s")).toEqual([count, count])
  })

  it("is gone at the first read after its end, before any timer has run", async () => {
    const { clock, register, shown } = await started()
    await register("s")
    await clock.advance(599_900)
    clock.pause(100)
    expect(await shown("s")).toEqual([1, 1])
    clock.pause(1)
    expect(await shown("s")).toEqual([0, 0])
  })

  it("is removed by a timer, not by a read", async () => {
    const { clock, register, call } = await started()
    await register("s")
    const { revision } = (await call("/v1/services")).json
    await clock.advance(599_900)
    clock.pause(101)
    expect((await call("/v1/registration/s")).json.hosts).toEqual([])
    expect((await call("/v1/services")).json.revision).toBe(revision)
    await clock.advance(second)
    expect((await call("/v1/journal?service=s")).json.entries[0]).toMatchObject({
      what: "expired",
      by: "registry",
      why: expect.stringContaining("lease expired"),
    })
    expect((await call("/v1/services")).json.revision).toBe(revision + 1)
  })

  it("that checks in at the last moment has its whole time again", async () => {
    const { clock, register, shown } = await started()
    await register("s")
    for (let round = 0; round < 5; round++) {
      await clock.advance(600_000)
      expect(await register("s")).toMatchObject({ status: 200 })
    }
    await clock.advance(600_000)
    expect(await shown("s")).toEqual([1, 1])
    await clock.advance(1)
    expect(await shown("s")).toEqual([0, 0])
  })

  it("is not kept by a POST that was refused", async () => {
    const { clock, register, shown } = await started()
    await register("s")
    await clock.advance(500_000)
    expect(await register("s", { port: "0" })).toMatchObject({ status: 400 })
    expect(await register("s", { tags: "{" })).toMatchObject({ status: 400 })
    await clock.advance(100_001)
    expect(await shown("s")).toEqual([0, 0])
  })

  it("is not kept by reads, weights, or another port's POST", async () => {
    const { clock, register, post, shown, addresses } = await started()
    await register("s")
    await clock.advance(500_000)
    await shown("s")
    await post("/v1/loadbalancing/s", { load_balancing_weight: "5" })
    await post("/v1/loadbalancing/s/10.0.0.1", { load_balancing_weight: "6" })
    await register("s", { port: "81" })
    await clock.advance(100_001)
    expect(await addresses("s")).toEqual(["10.0.0.1:81"])
  })

  it("that expired cannot be weighed or deleted, and begins anew when it comes back", async () => {
    const { clock, register, post, call, hosts } = await started()
    await register("s", { tags: '{"az":1,"region":1,"instance_id":1,"old":true}' })
    await post("/v1/loadbalancing/s", { load_balancing_weight: "5" })
    await clock.advance(602_000)
    expect(await post("/v1/loadbalancing/s/10.0.0.1", { load_balancing_weight: "5" })).toMatchObject({ status: 404 })
    expect(await post("/v1/loadbalancing/s", { load_balancing_weight: "5" })).toMatchObject({ status: 204 })
    expect(await call("/v1/registration/s/10.0.0.1", { method: "DELETE" })).toMatchObject({ status: 400, text: "{}" })
    await register("s")
    expect((await hosts("s"))[0].tags).toEqual({ az: "us-east-1d", instance_id: "i-0a", region: "us-east-1" })
  })

  it("whose end comes is not held back by a wall clock that jumps, nor hastened", async () => {
    const { clock, register, shown } = await started()
    await register("s")
    clock.jumpWall(3600 * second)
    expect(await shown("s")).toEqual([1, 1])
    clock.jumpWall(-7200 * second)
    await clock.advance(600_001)
    expect(await shown("s")).toEqual([0, 0])
  })
})

describe("many hosts that go silent at once", () => {
  it("are gone from both queries at the moment each expired, although the registry holds them as suspects", async () => {
    const { clock, register, shown, call, addresses } = await started()
    for (const ip of ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]) {
      await register("s", { ip })
      await clock.advance(10 * second)
    }
    await clock.advance(560 * second)
    expect(await shown("s")).toEqual([4, 4])
    await clock.advance(1)
    expect(await addresses("s")).toEqual(["10.0.0.2:8080", "10.0.0.3:8080", "10.0.0.4:8080"])
    await clock.advance(second)
    expect((await call("/v1/services/s/instances?standing=suspect")).json.instances).toHaveLength(4)
    expect(await addresses("s")).toEqual(["10.0.0.2:8080", "10.0.0.3:8080", "10.0.0.4:8080"])
    await clock.advance(9 * second)
    expect(await shown("s")).toEqual([2, 2])
    await clock.advance(20 * second)
    expect(await shown("s")).toEqual([0, 0])
    expect((await call("/v1/services/s/instances")).json.instances).toHaveLength(4)
    await register("s", { ip: "10.0.0.2" })
    expect(await addresses("s")).toEqual(["10.0.0.2:8080"])
  })

  it("are deleted when somebody asks for it", async () => {
    const { clock, register, call } = await started()
    for (const ip of ["10.0.0.1", "10.0.0.2", "10.0.0.3"]) await register("s", { ip })
    await clock.advance(602 * second)
    expect(await call("/v1/registration/s/10.0.0.2", { method: "DELETE" })).toMatchObject({ status: 200 })
    expect((await call("/v1/services/s/instances")).json.instances).toHaveLength(2)
  })

  it("never make a query fail, at any second of their end", async () => {
    const { clock, register, call } = await started({ lyft: { hostTtlSeconds: 10 } })
    for (let n = 0; n < 30; n++) {
      await register("s", { ip: `10.0.0.${n}` })
      await clock.advance(100)
    }
    let last = 30
    for (let step = 0; step < 40; step++) {
      await clock.advance(250)
      const { status, json } = await call("/v1/registration/s")
      expect(status).toBe(200)
      expect(json.hosts.length).toBeLessThanOrEqual(last)
      last = json.hosts.length
    }
    expect(last).toBe(0)
  })
})

describe("the last check-in", () => {
  it("is the last renewal, by POST or by heartbeat, to the millisecond", async () => {
    const { clock, register, call, hosts } = await started()
    await register("s")
    expect((await hosts("s"))[0].last_check_in).toBe("2023-11-14 22:13:20.000000+00:00")
    await clock.advance(61_007)
    await register("s")
    expect((await hosts("s"))[0].last_check_in).toBe("2023-11-14 22:14:21.007000+00:00")
    await clock.advance(1)
    await call("/v1/services/s/instances/10.0.0.1:8080/heartbeat", { method: "PUT" })
    expect((await hosts("s"))[0].last_check_in).toBe("2023-11-14 22:14:21.008000+00:00")
  })

  it("of an instance without a lease is its registration", async () => {
    const { clock, call, hosts } = await started()
    const put = () => call("/v1/services/s/instances/a", { method: "PUT", body: { host: "10.0.0.1", port: 1, ttlSeconds: 0 } })
    await put()
    await clock.advance(3600 * second)
    await put()
    expect((await hosts("s"))[0].last_check_in).toBe("2023-11-14 22:13:20.000000+00:00")
  })

  it("is right to half a ttl after a restart, and a host has its whole time again", async () => {
    const folder = mkdtempSync(join(tmpdir(), "lyft-"))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const spec = `sqlite:${join(folder, "registry.sqlite")}`
    // The storage has a clock of its own, this machine's.
    const clock = new ManualClock(Date.now())
    const first = await startLyft({ clock, storage: await openStorage(spec) })
    await first.register("s")
    await clock.advance(400 * second)
    await first.register("s")
    await clock.advance(100 * second)
    await first.register("s")
    const before = await first.hosts("s")
    await first.close()
    const again = await startLyft({ clock, storage: await openStorage(spec) })
    const [after] = await again.hosts("s")
    const behind = Date.parse(before[0].last_check_in.replace(" ", "T")) - Date.parse(after.last_check_in.replace(" ", "T"))
    expect(behind).toBeGreaterThanOrEqual(0)
    expect(behind).toBeLessThanOrEqual(300_000)
    await clock.advance(600 * second)
    expect(await again.addresses("s")).toEqual(["10.0.0.1:8080"])
    await clock.advance(1)
    expect(await again.addresses("s")).toEqual([])
  })
})
