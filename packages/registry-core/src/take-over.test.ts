import { ManualClock } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { openRegistry, sampleRegistration, SharedData } from "./testing/index.ts"

const by = { origin: "api", by: "test" } as const
const key = { service: "s", id: "i" }

/** Two servers over one store; the first one keeps an instance that was just heard. */
async function two(ttlSeconds = 30) {
  const clock = new ManualClock()
  const data = new SharedData(clock)
  const join = async (id: string) => {
    const storage = data.storage()
    const { registry } = await openRegistry({ clock, storage, server: { id, url: `http://${id}` } })
    return { registry, storage }
  }
  const [a, b] = [await join("server-a"), await join("server-b")]
  await clock.advance(1000)
  await a.registry.register(key, sampleRegistration({ ttlSeconds }), by)
  const keeper = () => data.records()[0]?.record.keeper
  const removals = () => data.applied.filter(({ op }) => op === "delete").length
  return { clock, data, a, b, keeper, removals }
}

it("a heartbeat that comes while the removal waits for the store withdraws it", async () => {
  const { clock, a, b, removals } = await two()
  await clock.advance(29_900)
  a.storage.lagMs = 1500
  const first = a.registry.register({ service: "other", id: "o" }, sampleRegistration(), by)
  await clock.advance(1300)
  expect(a.registry.list("s").instances).toEqual([])
  expect(a.registry.heartbeat(key).status).toBe(404)
  a.storage.lagMs = 0
  await clock.advance(2000)
  await first
  expect([removals(), a.registry.list("s").instances.length, b.registry.list("s").instances.length]).toEqual([0, 1, 1])
})

it("a lease is taken over when half a ttl has passed, unless the instance was heard too long before", async () => {
  const { clock, b, keeper } = await two()
  await clock.advance(7000)
  expect(b.registry.heartbeat(key).status).toBe(200)
  await clock.advance(10_000)
  expect(keeper()).toBe("server-a")
  expect(b.registry.heartbeat(key).status).toBe(200)
  await clock.advance(0)
  expect(keeper()).toBe("server-b")
})

it("a heartbeat is answered 202 when the store takes its time to take the server for the keeper, and 200 once it did", async () => {
  const { clock, b, keeper } = await two()
  await clock.advance(16_000)
  b.storage.lagMs = 2500
  expect(b.registry.heartbeat(key).status).toBe(200)
  await clock.advance(1200)
  expect(b.registry.heartbeat(key).status).toBe(202)
  await clock.advance(1500)
  expect([keeper(), b.registry.heartbeat(key).status]).toEqual(["server-b", 200])
})

it("a server whose store says nothing for 3 s sends those elsewhere that others keep, and no others", async () => {
  const { clock, a, b } = await two()
  a.storage.cut = true
  b.storage.cut = true
  await clock.advance(2500)
  expect([a.registry.heartbeat(key).status, b.registry.heartbeat(key).status]).toEqual([200, 200])
  await clock.advance(1700)
  expect([a.registry.heartbeat(key).status, b.registry.heartbeat(key).status]).toEqual([200, 202])
})

it("a keeper that was cut off a moment ago hides nobody whom another server may hear", async () => {
  const { clock, a, b, keeper } = await two(3)
  a.storage.cut = true
  for (let beats = 0; beats < 8; beats++) {
    await clock.advance(1000)
    expect(b.registry.heartbeat(key).status).toBe(200)
    expect([a.registry.list("s").instances.length, a.registry.get(key)?.id, a.registry.services().length]).toEqual([1, "i", 1])
  }
  a.storage.cut = false
  await clock.advance(3000)
  b.registry.heartbeat(key)
  expect([keeper(), a.registry.list("s").instances.length]).toEqual(["server-b", 1])
})

it("a lease that runs out while the store is away for a moment is left to whoever heard the instance meanwhile", async () => {
  const { clock, a, b, keeper, removals } = await two(6)
  await clock.advance(3000)
  a.storage.cut = true
  b.storage.cut = true
  await clock.advance(4200)
  a.storage.cut = false
  await clock.advance(1000)
  expect([keeper(), removals(), a.registry.list("s").instances.length]).toEqual(["server-a", 0, 1])
  b.storage.cut = false
  await clock.advance(500)
  expect(b.registry.heartbeat(key).status).toBe(200)
  await clock.advance(3000)
  expect([keeper(), removals(), a.registry.list("s").instances.length]).toEqual(["server-b", 0, 1])
})

it("a lease that runs out while the store is away for a moment ends half a ttl later when nobody heard the instance, however often that happens", async () => {
  const { clock, a, b, removals } = await two(6)
  await clock.advance(3000)
  const away = async () => {
    a.storage.cut = true
    await clock.advance(4200)
    a.storage.cut = false
    await clock.advance(1000)
  }
  await away()
  expect([removals(), a.registry.list("s").instances.length]).toEqual([0, 1])
  await away()
  expect([removals(), a.registry.list("s").instances.length]).toEqual([1, 0])
  expect(b.registry.journal({ limit: 1 })[0]?.why).toMatch(/^lease expired: last heartbeat 1\d\.\d s ago$/)
})

it("what fell to another server goes in time, although its keeper only stood still and comes back", async () => {
  const { clock, a, b, keeper, removals } = await two()
  a.storage.cut = true
  await clock.advance(12_000)
  expect(keeper()).toBe("server-b")
  await clock.advance(10_000)
  a.storage.cut = false
  await clock.advance(17_000)
  expect([removals(), b.registry.list("s").instances.length]).toEqual([0, 1])
  await clock.advance(3000)
  expect([removals(), b.registry.list("s").instances.length, a.registry.list("s").instances.length]).toEqual([1, 0, 0])
  expect(a.registry.journal({ limit: 1 })[0]?.why).toMatch(/^lease expired: no heartbeat in the 3\d\.\d s since this server became its keeper$/)
})

it("a server that had to read everything anew hands out snapshots, also to those who come from another server", async () => {
  const { clock, data, a, b } = await two()
  const frames: string[] = []
  const watch = a.registry.watch({}, () => frames.push(...watch.take().map(({ event }) => event)))
  await clock.advance(100)
  a.storage.cut = true
  await b.registry.patch(key, { weight: 2 }, { by: "ann" })
  const token = b.registry.position
  await b.registry.patch(key, { weight: 3 }, { by: "ann" })
  data.compact()
  await clock.advance(1000)
  expect(frames).toEqual(["snapshot", "synced"])
  a.storage.cut = false
  await clock.advance(1500)
  expect(frames).toEqual(["snapshot", "synced", "snapshot"])
  const moved: string[] = []
  const other = a.registry.watch({ resume: token }, () => moved.push(...other.take().map(({ event, json }) => `${event} ${json.toString()}`)))
  await clock.advance(100)
  expect(moved.map((text) => text.split(" ", 1)[0])).toEqual(["snapshot", "synced"])
  expect(moved[0]).toContain('"weight":3')
})
