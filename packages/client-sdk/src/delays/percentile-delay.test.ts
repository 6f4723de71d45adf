import { seededRandom } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { LatencyWindow } from "./latency-window.ts"
import { percentileDelay } from "./percentile-delay.ts"

const about = (now: number, path = "/x") => ({ service: "a", method: "GET", path, random: () => 0.5, now })

it.each([
  [0.5, 50],
  [0.95, 95],
  [0.99, 99],
])("the %d percentile of 1 to 100 ms is about %d ms", (share, ms) => {
  const window = new LatencyWindow(1000, 0)
  for (let value = 1; value <= 100; value++) window.add(value, true, 0)
  expect(window.percentile(share, 0)).toBeGreaterThan(ms / 1.1)
  expect(window.percentile(share, 0)).toBeLessThan(ms * 1.1)
})

it("what was given up counts as at least so long", () => {
  const random = seededRandom(3)
  const [told, naive] = [new LatencyWindow(1000, 0), new LatencyWindow(1000, 0)]
  for (let index = 0; index < 5000; index++) {
    const [ms, patience] = [200 * random(), 200 * random()]
    told.add(Math.min(ms, patience), ms <= patience, 0)
    if (ms <= patience) naive.add(ms, true, 0)
  }
  expect(told.percentile(0.8, 0)).toBeGreaterThan(145)
  expect(told.percentile(0.8, 0)).toBeLessThan(175)
  expect(naive.percentile(0.8, 0)).toBeLessThan(130)
})

it("cannot tell when nearly all were given up", () => {
  const window = new LatencyWindow(1000, 0)
  for (let index = 0; index < 20; index++) window.add(50, false, 0)
  expect(window.percentile(0.9, 0)).toBe(Number.POSITIVE_INFINITY)
})

it("forgets what is older than the window", () => {
  const window = new LatencyWindow(1000, 0)
  window.add(5, true, 0)
  expect([window.count(499), window.count(999), window.count(1500)]).toEqual([1, 1, 0])
})

it("waits its longest until ten answers are known, and within its bounds then, each template for itself", () => {
  const delay = percentileDelay({ minMs: 20, maxMs: 400 })
  for (let index = 0; index < 9; index++) delay.learn?.(about(0), 100, true)
  expect(delay(1, about(0))).toBe(400)
  delay.learn?.(about(0), 100, true)
  expect(delay(1, about(0))).toBeCloseTo(100, -1)
  expect(delay(1, about(0, "/other"))).toBe(400)
  for (let index = 0; index < 50; index++) delay.learn?.(about(0, "/fast"), 1, true)
  expect(delay(1, about(0, "/fast"))).toBe(20)
  expect(delay(1, about(600_001))).toBe(400)
})

it.each([{ percentile: 0 }, { percentile: 1 }, { minMs: -1 }, { minMs: 10, maxMs: 5 }])("refuses %j", (options) => {
  expect(() => percentileDelay(options)).toThrow(RangeError)
})
