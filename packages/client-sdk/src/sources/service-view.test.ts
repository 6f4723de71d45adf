import { expect, it } from "vitest"
import { fakeInstance } from "../testing/index.ts"
import { applyChange, applySnapshot, dropExpired, emptyView, nextExpiry } from "./service-view.ts"

const snapshot = (epoch: string, revision: number, ports: number[]) => ({
  epoch,
  revision,
  at: 0,
  service: "a",
  instances: ports.map((port) => fakeInstance("a", port)),
})
const change = (from: number, revision: number, upserted: number[], removed: number[], epoch = "e") => ({
  ...snapshot(epoch, revision, []),
  from,
  upserted: upserted.map((port) => fakeInstance("a", port)),
  removed: removed.map((port) => ({ id: `127.0.0.1:${port}`, why: "gone" })),
})
const ports = (view: { instances: ReadonlyMap<string, { port: number }> } | undefined) =>
  [...(view?.instances.values() ?? [])].map((instance) => instance.port).sort()

it("a snapshot of the same epoch removes at once what it lacks", () => {
  const view = applySnapshot(applySnapshot(emptyView("a"), snapshot("e", 1, [1, 2]), 0), snapshot("e", 2, [2]), 0)
  expect([ports(view), view.doubted.size]).toEqual([[2], 0])
})

it("a snapshot of another epoch keeps what it lacks as suspects for their ttl", () => {
  const before = applySnapshot(emptyView("a"), snapshot("e", 9, [1, 2]), 0)
  const view = applySnapshot(before, snapshot("f", 1, [2]), 1000)
  expect([...view.instances.values()].map((instance) => [instance.port, instance.standing])).toEqual([
    [2, "serving"],
    [1, "suspect"],
  ])
  expect(nextExpiry(view)).toBe(31_000)
  expect(ports(dropExpired(view, 30_999))).toEqual([1, 2])
  expect(ports(dropExpired(view, 31_000))).toEqual([2])
})

it("an emptied registry empties nobody at once, and a second look changes nothing of the time", () => {
  const view = applySnapshot(applySnapshot(emptyView("a"), snapshot("e", 9, [1]), 0), snapshot("f", 0, []), 1000)
  expect(ports(view)).toEqual([1])
  const again = applySnapshot(view, snapshot("f", 1, []), 20_000)
  expect([ports(again), nextExpiry(again)]).toEqual([[1], 31_000])
})

it("who is heard of again is no longer doubted, who is removed goes at once", () => {
  const doubted = applySnapshot(applySnapshot(emptyView("a"), snapshot("e", 9, [1, 2]), 0), snapshot("f", 0, []), 0)
  const view = applyChange(doubted, change(0, 1, [1], [2], "f"))
  expect([ports(view), view?.doubted.size]).toEqual([[1], 0])
})

const unprobed = { standing: "out", boot: "b", health: { status: "unknown", since: 0, reason: "", by: "" } } as const

it("who served before is a suspect until a restarted registry has probed it", () => {
  const before = applySnapshot(emptyView("a"), { ...snapshot("e", 9, []), instances: [fakeInstance("a", 1, { boot: "b" })] }, 0)
  const told = applySnapshot(before, { ...snapshot("f", 1, []), instances: [fakeInstance("a", 1, unprobed)] }, 0)
  expect([...told.instances.values()].map((instance) => instance.standing)).toEqual(["suspect"])
  const doubted = applySnapshot(before, snapshot("f", 0, []), 0)
  const heard = applyChange(doubted, { ...change(0, 1, [], [], "f"), upserted: [fakeInstance("a", 1, unprobed)] })
  expect([...(heard?.instances.values() ?? [])].map((instance) => instance.standing)).toEqual(["suspect"])
  const failing = fakeInstance("a", 1, { ...unprobed, health: { ...unprobed.health, status: "failing" } })
  const judged = heard && applyChange(heard, { ...change(1, 2, [], [], "f"), upserted: [failing] })
  expect([...(judged?.instances.values() ?? [])].map((instance) => instance.standing)).toEqual(["out"])
})

it("another process at the same place is not believed before it was probed", () => {
  const before = applySnapshot(emptyView("a"), { ...snapshot("e", 9, []), instances: [fakeInstance("a", 1, { boot: "a" })] }, 0)
  const told = applySnapshot(before, { ...snapshot("e", 10, []), instances: [fakeInstance("a", 1, unprobed)] }, 0)
  expect([...told.instances.values()].map((instance) => instance.standing)).toEqual(["out"])
})

it.each([
  ["that begins where the view is", 5, 7, [1, 3]],
  ["that begins before", 3, 7, [1, 3]],
])("applies a change %s", (_title, from, revision, expected) => {
  const view = applySnapshot(emptyView("a"), snapshot("e", 5, [1, 2]), 0)
  expect(ports(applyChange(view, change(from, revision, [3], [2])))).toEqual(expected)
})

it("asks for a snapshot when a change begins later than the view, or counts otherwise", () => {
  const view = applySnapshot(emptyView("a"), snapshot("e", 5, [1]), 0)
  expect(applyChange(view, change(6, 7, [], []))).toBeUndefined()
  expect(applyChange(view, change(5, 7, [], [], "f"))).toBeUndefined()
})

it("a change that is known already changes nothing", () => {
  const view = applySnapshot(emptyView("a"), snapshot("e", 5, [1]), 0)
  expect(applyChange(view, change(2, 4, [], [1]))).toBe(view)
})
