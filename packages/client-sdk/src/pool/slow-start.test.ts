import { ManualClock, seededRandom } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { p2c, random } from "../balancers/index.ts"
import { createStaticSource } from "../sources/static-source.ts"
import { fakeInstance } from "../testing/fake-instance.ts"
import { createPool } from "./create-pool.ts"

async function starting(slowStartMs: number) {
  const clock = new ManualClock()
  const source = createStaticSource("test")
  source.set("a", [fakeInstance("a", 1)], 0)
  const pool = createPool({ service: "a", source, balancer: random, slowStartMs, clock, random: seededRandom(5) })
  await pool.ready()
  const share = (): number => {
    let count = 0
    for (let n = 0; n < 4000; n++) {
      const picked = pool.pick()
      if (picked?.endpoint.address === "127.0.0.1:2") count++
      picked?.done({ result: "aborted" })
    }
    return count / 4000
  }
  const add = async (): Promise<void> => {
    source.set("a", [fakeInstance("a", 1), fakeInstance("a", 2)], 1)
    await expect.poll(() => pool.candidates().length).toBe(2)
  }
  return { clock, source, share, add }
}

it("the share of an instance that begins to serve grows from a tenth of its weight to the whole", async () => {
  const { clock, share, add } = await starting(10_000)
  await add()
  expect(share()).toBeCloseTo(0.1 / 1.1, 1)
  await clock.advance(5000)
  expect(share()).toBeCloseTo(0.5 / 1.5, 1)
  await clock.advance(5000)
  expect(share()).toBeCloseTo(0.5, 1)
})

it("those that were there first start with the whole, and everyone does without slow start", async () => {
  const { share, add } = await starting(0)
  await add()
  expect(share()).toBeCloseTo(0.5, 1)
})

it("a restarted process, and one that serves again, start slowly again", async () => {
  const { clock, source, share, add } = await starting(10_000)
  await add()
  await clock.advance(20_000)
  expect(share()).toBeCloseTo(0.5, 1)
  source.set("a", [fakeInstance("a", 1), { ...fakeInstance("a", 2), boot: "next" }], 2)
  await expect.poll(() => share()).toBeLessThan(0.2)
})

it("p2c lowers the share of a process that says it lags", async () => {
  const clock = new ManualClock()
  const source = createStaticSource("test")
  source.set("a", [fakeInstance("a", 1), fakeInstance("a", 2)], 0)
  const pool = createPool({ service: "a", source, balancer: p2c, clock, random: seededRandom(5) })
  await pool.ready()
  const counts = { "127.0.0.1:1": 0, "127.0.0.1:2": 0 } as Record<string, number>
  for (let round = 0; round < 500; round++) {
    const busy = Array.from({ length: 8 }, () => pool.pick())
    for (const picked of busy) {
      const address = picked?.endpoint.address ?? ""
      counts[address] = (counts[address] ?? 0) + 1
      picked?.done({ result: "success", latencyMs: 10, load: address.endsWith(":2") ? "lag=90,inflight=3" : "lag=0,inflight=3" })
    }
  }
  expect((counts["127.0.0.1:2"] ?? 0) / 4000).toBeLessThan(0.3)
  expect(counts["127.0.0.1:2"]).toBeGreaterThan(100)
})
