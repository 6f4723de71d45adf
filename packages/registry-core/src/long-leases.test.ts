import { ManualClock } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import type { Registry } from "./registry.ts"
import { openRegistry, sampleRecord, sampleRegistration, SharedData } from "./testing/index.ts"

const by = { origin: "lyft", by: "test" } as const
const ttlSeconds = 600
const key = { service: "s", id: "i" }

async function servers(...ids: string[]) {
  const clock = new ManualClock()
  const data = new SharedData(clock)
  const join = async (id: string) => {
    const { registry } = await openRegistry({ clock, storage: data.storage(), server: { id, url: `http://${id}:8008` } })
    return registry
  }
  const joined: Registry[] = []
  for (const id of ids) joined.push(await join(id))
  await clock.advance(1000)
  const [a, b] = joined
  if (!a || !b) throw new Error("two servers are needed")
  return { clock, data, join, a, b }
}

const checkedIn = (registry: Registry) => registry.checkIns("s").map(({ instance }) => instance.id)

it("the store is told of long leases once per half ttl, and every server knows since when to half a ttl", async () => {
  const { a, b, clock, data } = await servers("a", "b")
  await a.register(key, sampleRegistration({ ttlSeconds }), by)
  const { length: before } = data.applied
  const { revision } = b.list("s")
  for (let second = 0; second < 6000; second += 30) {
    await clock.advance(30_000)
    a.heartbeat(key)
    await clock.advance(0)
    const [here, there] = [a.checkIns("s")[0], b.checkIns("s")[0]]
    expect(here?.at).toBe(clock.now())
    expect(clock.now() - (there?.at ?? 0)).toBeLessThanOrEqual((ttlSeconds / 2) * 1000)
  }
  expect(data.applied.length - before).toBeGreaterThanOrEqual(15)
  expect(data.applied.length - before).toBeLessThanOrEqual(20)
  expect(b.list("s").revision).toBe(revision)
  expect(b.journal({ limit: 9 }).map(({ what }) => what)).toEqual(["registered"])
  expect(b.list("s").instances[0]).not.toHaveProperty("renewedAt")
})

it("short leases are told of never", async () => {
  const { a, clock, data } = await servers("a", "b")
  await a.register(key, sampleRegistration({ ttlSeconds: 299 }), by)
  const { length: before } = data.applied
  for (let minute = 0; minute < 60; minute++) {
    await clock.advance(60_000)
    a.heartbeat(key)
  }
  expect(data.applied.length).toBe(before)
  expect(data.records()[0]?.record).not.toHaveProperty("renewedAt")
})

it("registering again without news is a heartbeat: it costs no write of its own", async () => {
  const { a, clock, data } = await servers("a", "b")
  await a.register(key, sampleRegistration({ ttlSeconds }), by)
  const { length: before } = data.applied
  for (let second = 0; second < 290; second += 10) {
    await clock.advance(10_000)
    await a.register(key, sampleRegistration({ ttlSeconds }), by)
  }
  expect(data.applied.length).toBe(before)
})

it("at exactly its ttl a host is there at every server, and after it nowhere", async () => {
  const { a, b, clock } = await servers("a", "b")
  await a.register(key, sampleRegistration({ ttlSeconds }), by)
  await clock.advance(450_000)
  a.heartbeat(key)
  await clock.advance(600_000)
  expect([checkedIn(a), checkedIn(b)]).toEqual([["i"], ["i"]])
  await clock.advance(1)
  expect(checkedIn(a)).toEqual([])
  await clock.advance(2000)
  expect([checkedIn(a), checkedIn(b), a.list("s").instances, b.list("s").instances]).toEqual([[], [], [], []])
})

it("hosts that are held as suspects have not checked in, at no server; those of them whose lease still runs have", async () => {
  const { a, b, clock } = await servers("a", "b")
  const ids = ["i1", "i2", "i3"]
  for (const id of ids) await a.register({ service: "s", id }, sampleRegistration({ ttlSeconds }), by)
  await clock.advance(200_000)
  a.heartbeat({ service: "s", id: "i3" })
  await clock.advance(402_500)
  expect([a, b].map((registry) => registry.list("s").instances.map(({ standing }) => standing))).toEqual([
    ["suspect", "suspect", "suspect"],
    ["suspect", "suspect", "suspect"],
  ])
  expect([checkedIn(a), checkedIn(b)]).toEqual([["i3"], ["i3"]])
  await clock.advance(200_500)
  expect([checkedIn(a), checkedIn(b)]).toEqual([[], []])
  a.heartbeat({ service: "s", id: "i1" })
  await clock.advance(100)
  expect([checkedIn(a), checkedIn(b)]).toEqual([["i1"], ["i1"]])
})

it("after a restart of all servers every host has a full ttl, and shows when it checked in to half a ttl", async () => {
  const { a, b, clock, join } = await servers("a", "b")
  await a.register(key, sampleRegistration({ ttlSeconds }), by)
  for (let minute = 0; minute < 60; minute++) {
    await clock.advance(60_000)
    a.heartbeat(key)
  }
  const stopped = clock.now()
  await Promise.all([a.close(), b.close()])
  await clock.advance(3_600_000)
  const c = await join("c")
  const [host] = c.checkIns("s")
  expect(stopped - (host?.at ?? 0)).toBeLessThanOrEqual(300_000)
  await clock.advance(599_000)
  expect(checkedIn(c)).toEqual(["i"])
  await clock.advance(4000)
  expect(checkedIn(c)).toEqual([])
})

it("a row that another program renews counts from when the store says it was renewed, not from when it was seen", async () => {
  const { a, b, clock, data } = await servers("a", "b")
  const row = (ageMs: number) => ({ record: sampleRecord("s", "i", { origin: "lyft", ttlSeconds, registeredAt: 0 }), renewedAt: clock.now() - ageMs })
  data.import(row(590_000))
  await clock.advance(9000)
  expect([checkedIn(a), checkedIn(b)]).toEqual([["i"], ["i"]])
  data.import(row(100_000))
  await clock.advance(498_000)
  expect([checkedIn(a), checkedIn(b)]).toEqual([["i"], ["i"]])
  await clock.advance(4000)
  expect([checkedIn(a), checkedIn(b)]).toEqual([[], []])
})
