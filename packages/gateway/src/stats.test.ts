import { seededRandom } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { Histogram } from "./histogram.ts"
import { compileRoutes } from "./router.ts"
import { Stats } from "./stats.ts"

it.each([0.5, 0.95, 0.99])("the percentile %d is off by at most 1 %%", (share) => {
  const random = seededRandom(3)
  const histogram = new Histogram()
  const values = Array.from({ length: 20_000 }, () => 0.05 * 10 ** (random() * 5))
  for (const value of values) histogram.record(value)
  const exact = values.sort((a, b) => a - b)[Math.ceil(share * values.length) - 1] ?? 0
  expect(Math.abs(histogram.percentile(share) / exact - 1)).toBeLessThanOrEqual(0.0101)
  expect(histogram.average).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / values.length, 6)
})

it("an empty histogram says 0, and the longest and shortest durations are bounded", () => {
  const histogram = new Histogram()
  expect([histogram.average, histogram.percentile(0.99)]).toEqual([0, 0])
  histogram.record(0)
  histogram.record(1e12)
  expect([histogram.count, histogram.percentile(0.1)]).toEqual([2, 0.01])
})

it("success is 2xx, 3xx and a switch of protocols; what found no route counts, but not in the latencies", () => {
  const { routes } = compileRoutes([{ match: "prefix", path: "/a", service: "a" }])
  const stats = new Stats(routes)
  for (const status of [101, 200, 204, 301, 404, 500, 503]) stats.record(routes[0], status, 10)
  stats.record(undefined, 404, 0)
  expect(stats.view().requests_count).toEqual({ success: 4, error: 4 })
  expect(stats.view().latency_ms.average).toBe(10)
  expect(stats.view().routes["/a/*"]).toMatchObject({ service: "a", requests_count: { success: 4, error: 3 } })
})

it("counts and percentiles are the same after being saved and restored", () => {
  const { routes } = compileRoutes([{ match: "prefix", path: "/a", service: "a" }])
  const [before, after] = [new Stats(routes), new Stats(routes)]
  for (let ms = 1; ms <= 200; ms++) before.record(routes[0], ms % 10 === 0 ? 503 : 200, ms)
  before.record(undefined, 403, 0)
  after.restore(JSON.parse(JSON.stringify(before.save())) as ReturnType<Stats["save"]>)
  expect(after.view()).toEqual(before.view())
  expect(after.counts()).toEqual(before.counts())
  after.record(routes[0], 200, 5)
  expect(after.view().requests_count).toEqual({ success: 181, error: 21 })
})

it("what was counted in other buckets is not mixed in", () => {
  const histogram = new Histogram()
  histogram.restore({ sum: 10, counts: [3, 1], scheme: "something else" })
  histogram.restore({ ...histogram.save(), counts: [1_000_000, 1] })
  expect([histogram.count, histogram.sum]).toEqual([0, 0])
})

it("a route that goes and comes back goes on counting, and those that went are bounded", () => {
  const compile = (...paths: string[]) => compileRoutes(paths.map((path) => ({ match: "prefix", path, service: "a" }))).routes
  const stats = new Stats(compile("/a", "/b"))
  const [a] = compile("/a")
  const first = compile("/a", "/b")
  stats.setRoutes(first)
  stats.record(first[0], 200, 1)
  stats.setRoutes(compile("/b"))
  expect(Object.keys(stats.view().routes)).toEqual(["/b/*"])
  // A request that was under way when its route went.
  stats.record(first[0], 200, 1)
  stats.setRoutes(compile("/a"))
  expect(stats.view().routes[a?.name ?? ""]?.requests_count.success).toBe(2)
  for (let n = 0; n < 3000; n++) stats.setRoutes(compile(`/${n}`))
  expect(Object.keys(stats.save().routes)).toHaveLength(1001)
  stats.setRoutes(compile("/a"))
  expect(stats.view().routes["/a/*"]?.requests_count.success).toBe(0)
  expect(stats.view().requests_count.success).toBe(2)
})
