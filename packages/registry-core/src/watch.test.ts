import type { WatchEventData, WatchToken } from "@meshwork/contract"
import { expect, it } from "vitest"
import type { Registry, Watch, WatchFrame } from "./registry.ts"
import { openRegistry, sampleRegistration } from "./testing/index.ts"

const by = { origin: "api", by: "test" } as const
const register = (registry: Registry, service: string, id: string, weight?: number) =>
  registry.register({ service, id }, sampleRegistration(weight === undefined ? {} : { weight }), by)
const names = (frames: readonly WatchFrame[]) => frames.map((frame) => frame.event)
const data = (frame: WatchFrame | undefined) => JSON.parse(String(frame?.json)) as WatchEventData<"change"> & WatchEventData<"snapshot">
const future = (token: WatchToken, by: number): WatchToken => ({ ...token, revision: token.revision + by })

async function opened() {
  const { registry, clock } = await openRegistry()
  const wakes: string[] = []
  const watch = (name: string, options: Parameters<Registry["watch"]>[0] = {}): Watch => registry.watch(options, () => wakes.push(name))
  const taken = async (watcher: Watch): Promise<WatchFrame[]> => {
    await clock.advance(20)
    return watcher.take()
  }
  return { registry, clock, wakes, watch, taken }
}

it("begins with a snapshot of each service and ends the round with synced, which carries the token", async () => {
  const { registry, watch, taken } = await opened()
  await register(registry, "a", "1")
  await register(registry, "b", "1")
  const all = await taken(watch("all"))
  expect(names(all)).toEqual(["snapshot", "snapshot", "synced"])
  expect(data(all[2])).toMatchObject({ services: ["a", "b"] })
  expect(all.map((frame) => frame.token)).toEqual([undefined, undefined, registry.position])
  const one = await taken(watch("one", { services: ["a", "unknown"] }))
  expect(names(one)).toEqual(["snapshot", "snapshot", "synced"])
  expect(data(one[1])).toMatchObject({ service: "unknown", instances: [] })
  expect(data(one[2])).not.toHaveProperty("services")
})

it("a change wakes the watchers of its service and nobody else, once, after 20 ms", async () => {
  const { registry, clock, watch, wakes, taken } = await opened()
  const watchers = [watch("a", { services: ["a"] }), watch("b", { services: ["b"] }), watch("all")]
  for (const watcher of watchers) await taken(watcher)
  wakes.length = 0
  for (const id of ["1", "2", "3"]) await register(registry, "a", id)
  await clock.advance(19)
  expect(wakes).toEqual([])
  await clock.advance(1)
  await register(registry, "a", "4")
  await clock.advance(100)
  expect(wakes.sort()).toEqual(["a", "all"])
  const frames = watchers[0]?.take() ?? []
  expect(names(frames)).toEqual(["change"])
  expect(data(frames[0]).upserted.map((instance) => instance.id)).toEqual(["1", "2", "3", "4"])
  expect(watchers[0]?.take()).toEqual([])
})

it("watchers who hold the same share one buffer, however they came to it", async () => {
  const { registry, watch, taken } = await opened()
  await register(registry, "a", "1")
  const early = watch("early", { services: ["a"] })
  expect(await taken(early)).toHaveLength(2)
  await register(registry, "other", "1")
  const late = watch("late")
  expect(await taken(late)).toHaveLength(3)
  await register(registry, "a", "2")
  const [one] = await taken(early)
  const [two] = late.take()
  expect(one?.event).toBe("change")
  expect(two?.json).toBe(one?.json)
})

it("resumes with the changes since the token, removals too, and nothing for services that stood still", async () => {
  const { registry, watch, taken } = await opened()
  for (const service of ["a", "b"]) for (const id of ["1", "2"]) await register(registry, service, id)
  const first = watch("first")
  const token = (await taken(first)).at(-1)?.token
  first.close()
  await registry.deregister({ service: "a", id: "1" }, { by: "test", why: "moved away" })
  await register(registry, "a", "3")
  if (token === undefined) throw new Error("no token")
  const frames = await taken(watch("second", { resume: token }))
  expect(names(frames)).toEqual(["change", "synced"])
  expect(data(frames[0])).toMatchObject({ service: "a", upserted: [{ id: "3" }], removed: [{ id: "1", why: "moved away" }] })
  expect(data(frames[0]).from).toBeLessThanOrEqual(token.revision)
  expect(names(await taken(watch("third", { resume: token, fresh: ["b"] })))).toEqual(["change", "snapshot", "synced"])
})

it("a token of another epoch is answered with reset first", async () => {
  const { registry, watch, taken } = await opened()
  await register(registry, "a", "1")
  const frames = await taken(watch("w", { resume: { epoch: "gone", revision: 1 } }))
  expect(names(frames)).toEqual(["reset", "snapshot", "synced"])
  expect(data(frames[0])).toMatchObject({ epoch: registry.position.epoch })
})

it("a token from the future waits 2 s, and is honoured when the registry gets there", async () => {
  const { registry, clock, watch, wakes } = await opened()
  await register(registry, "a", "1")
  const reached = watch("reached", { resume: future(registry.position, 1) })
  const missed = watch("missed", { resume: future(registry.position, 9) })
  await clock.advance(1000)
  expect([wakes, reached.take(), missed.take()]).toEqual([[], [], []])
  await register(registry, "a", "2")
  await clock.advance(1100)
  expect(wakes.sort()).toEqual(["missed", "reached"])
  expect([names(reached.take()), names(missed.take())]).toEqual([["synced"], ["reset", "snapshot", "synced"]])
})

it("a subscriber further back than the removals that are remembered gets a snapshot", async () => {
  const { registry, watch, taken } = await opened()
  await register(registry, "a", "stays")
  const slow = watch("slow")
  await taken(slow)
  await Promise.all(Array.from({ length: 1100 }, (_, index) => register(registry, "a", `i${index}`)))
  await Promise.all(Array.from({ length: 1100 }, (_, index) => registry.deregister({ service: "a", id: `i${index}` }, { by: "test" })))
  const [frame] = await taken(slow)
  expect([frame?.event, data(frame).instances.map((instance) => instance.id)]).toEqual(["snapshot", ["stays"]])
})

it("a watcher of everything that stalls through changes in thousands of services catches up in one round", async () => {
  const { registry, watch, taken } = await opened()
  const stalled = watch("stalled")
  await taken(stalled)
  await Promise.all(Array.from({ length: 1500 }, (_, index) => register(registry, `s${index}`, "1")))
  const frames = await taken(stalled)
  expect(frames.filter((frame) => frame.event === "snapshot")).toHaveLength(1500)
  expect([names(frames).at(-1), data(frames.at(-1)) as unknown]).toMatchObject(["synced", { services: expect.arrayContaining(["s1499"]) as unknown }])
})

it("a closed watcher is neither woken nor served", async () => {
  const { registry, clock, watch, wakes } = await opened()
  const watcher = watch("w")
  watcher.close()
  await register(registry, "a", "1")
  await clock.advance(100)
  expect([wakes, watcher.take()]).toEqual([[], []])
})
