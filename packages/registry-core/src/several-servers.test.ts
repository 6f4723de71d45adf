import { ManualClock } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import type { Registry } from "./registry.ts"
import { openRegistry, sampleRegistration, SharedData, type SharedLink } from "./testing/index.ts"

const by = { origin: "api", by: "test" } as const
const key = { service: "s", id: "i" }

async function servers(count: number) {
  const clock = new ManualClock()
  const data = new SharedData(clock)
  const join = async (id: string) => {
    const storage = data.storage()
    const { registry } = await openRegistry({ clock, storage, server: { id, url: `http://${id}:8008` } })
    return { registry, storage }
  }
  const joined: { registry: Registry; storage: SharedLink }[] = []
  for (let index = 0; index < count; index++) joined.push(await join(`server-${"abc"[index]}`))
  await clock.advance(1000)
  const [a, b, c] = joined
  if (!a) throw new Error("no server")
  return { clock, data, join, a, b: b ?? a, c: c ?? a }
}

const ids = (registry: Registry) => registry.list("s").instances.map((instance) => instance.id)

it("what one registers all know when the answer comes, under one revision, with who and why", async () => {
  const { a, b, data } = await servers(2)
  const { instance, created } = await a.registry.register(key, sampleRegistration(), by)
  expect([created, instance.standing, data.revision]).toEqual([true, "serving", 1])
  expect(b.registry.position).toEqual(a.registry.position)
  expect(b.registry.list("s")).toEqual(a.registry.list("s"))
  expect(b.registry.journal({ limit: 5 })).toEqual(a.registry.journal({ limit: 5 }))
  expect(b.registry.journal({ limit: 5 })).toMatchObject([{ what: "registered", by: "test", why: "first registration", id: "i" }])
  expect((await b.registry.register(key, sampleRegistration({ port: 9001 }), by)).created).toBe(false)
  expect(a.registry.list("s").instances).toMatchObject([{ port: 9001 }])
})

it("a conflict is decided again about what another server stored: nobody overwrites anybody", async () => {
  const { a, b } = await servers(2)
  await a.registry.register(key, sampleRegistration({ check: { method: "ping" } }), by)
  await Promise.all([
    a.registry.patch(key, { weight: 7 }, { by: "ann" }),
    b.registry.reportHealth(key, { status: "failing", reason: "refused", by: "poller" }),
    a.registry.register(key, sampleRegistration({ check: { method: "ping" }, tags: { v: 2 } }), by),
    b.registry.patch(key, { state: "draining" }, { by: "bob" }),
  ])
  for (const { registry } of [a, b]) {
    expect(registry.get(key)).toMatchObject({ weight: 7, state: "draining", tags: { v: 2 }, health: { status: "failing", reason: "refused" } })
  }
})

it("heartbeats at the keeper never reach the store; those at another server cost one write per half ttl at most", async () => {
  const { a, b, clock, data } = await servers(2)
  await a.registry.register(key, sampleRegistration(), by)
  const written = data.applied.length
  for (let second = 0; second < 120; second += 10) {
    await clock.advance(10_000)
    expect(a.registry.heartbeat(key)).toMatchObject({ status: 200 })
  }
  expect(data.applied.length).toBe(written)
  const { revision } = b.registry.list("s")
  for (let second = 0; second < 600; second += 10) {
    await clock.advance(10_000)
    expect((second % 20 === 0 ? a : b).registry.heartbeat(key).status).toBe(200)
  }
  expect(data.applied.length - written).toBeGreaterThan(10)
  expect(data.applied.length - written).toBeLessThanOrEqual(600 / 15)
  expect([ids(a.registry), ids(b.registry), b.registry.list("s").revision]).toEqual([["i"], ["i"], revision])
  expect(b.registry.journal({ limit: 9 }).map(({ what }) => what)).toEqual(["registered"])
})

it("an instance that moves to another server is kept there, and ends there within its ttl and 2 s", async () => {
  const { a, b, clock, data } = await servers(2)
  await a.registry.register(key, sampleRegistration(), by)
  for (const _ of [1, 2, 3, 4, 5, 6]) {
    await clock.advance(10_000)
    b.registry.heartbeat(key)
  }
  await clock.advance(0)
  expect(data.records()[0]?.record.keeper).toBe("server-b")
  await clock.advance(30_000)
  expect(ids(a.registry)).toEqual(["i"])
  await clock.advance(2000)
  expect([ids(a.registry), ids(b.registry)]).toEqual([[], []])
  expect(a.registry.journal({ limit: 1 })).toMatchObject([
    { what: "expired", why: expect.stringMatching(/^lease expired: last heartbeat 30\.\d s ago$/) },
  ])
})

it("a record whose keeper is gone falls to one of the others, and has a full ttl from then", async () => {
  const { a, b, c, clock, data } = await servers(3)
  await a.registry.register(key, sampleRegistration(), by)
  await clock.advance(25_000)
  a.storage.cut = true
  await clock.advance(11_000)
  expect(b.registry.servers().map(({ id }) => id)).toEqual(["server-b", "server-c"])
  await clock.advance(29_000)
  expect([ids(b.registry), ids(c.registry)]).toEqual([["i"], ["i"]])
  await clock.advance(3000)
  expect([ids(b.registry), ids(c.registry)]).toEqual([[], []])
  expect(data.applied.filter(({ op }) => op === "delete")).toHaveLength(1)
  expect(b.registry.journal({ limit: 1 })[0]?.why).toMatch(/^lease expired: no heartbeat in the 30\.\d s since this server became its keeper$/)
})

it("a server that is stopped in order hands over at once", async () => {
  const { a, b, clock } = await servers(2)
  await a.registry.register(key, sampleRegistration(), by)
  await a.registry.close()
  await clock.advance(0)
  expect(b.registry.servers().map(({ id }) => id)).toEqual(["server-b"])
  await clock.advance(32_000)
  expect(ids(b.registry)).toEqual([])
})

it("a server that does not reach its store says so, keeps what it knows, and takes nothing on", async () => {
  const { a, b, clock } = await servers(2)
  await a.registry.register(key, sampleRegistration(), by)
  const frames: string[] = []
  const watch = a.registry.watch({}, () => frames.push(...watch.take().map(({ event }) => event)))
  await clock.advance(100)
  a.storage.cut = true
  await clock.advance(4000)
  expect([a.registry.staleSince(), a.registry.readiness().ready]).toEqual([undefined, true])
  await clock.advance(3000)
  expect(clock.now() - (a.registry.staleSince() ?? 0)).toBeGreaterThan(5000)
  expect(a.registry.readiness()).toMatchObject({ ready: false, reasons: [expect.stringMatching(/shared memory has not been reached for [678] s/)] })
  await expect(a.registry.register({ ...key, id: "new" }, sampleRegistration(), by)).rejects.toMatchObject({
    code: "storage_unavailable",
    retryAfterMs: 2000,
  })
  expect([a.registry.heartbeat(key), a.registry.heartbeat({ ...key, id: "unheard" })]).toEqual([{ status: 202 }, { status: 202 }])
  await clock.advance(60_000)
  expect([ids(a.registry), ids(b.registry)]).toEqual([["i"], []])
  expect(frames).toEqual(["snapshot", "synced", "stale"])
  a.storage.cut = false
  await clock.advance(2000)
  expect([ids(a.registry), a.registry.staleSince(), a.registry.readiness().ready]).toEqual([[], undefined, true])
  expect(frames).toEqual(["snapshot", "synced", "stale", "change", "fresh"])
  expect(a.registry.journal({ limit: 1 })[0]).toEqual(b.registry.journal({ limit: 1 })[0])
})

it("the store is away for a minute: nobody who is heard is removed, whoever is dead goes within a ttl after it is back", async () => {
  const { a, b, clock } = await servers(2)
  const dead = { service: "s", id: "dead" }
  await a.registry.register(key, sampleRegistration(), by)
  await a.registry.register(dead, sampleRegistration(), by)
  a.storage.cut = true
  b.storage.cut = true
  for (let second = 0; second < 60; second += 10) {
    await clock.advance(10_000)
    // Told to come again, it turns to the other one.
    ;(second < 10 ? a : b).registry.heartbeat(key)
  }
  a.storage.cut = false
  await clock.advance(3000)
  b.storage.cut = false
  for (let second = 0; second < 30; second += 10) {
    await clock.advance(10_000)
    b.registry.heartbeat(key)
    expect(ids(a.registry)).toContain("i")
  }
  await clock.advance(1000)
  expect([ids(a.registry), ids(b.registry)]).toEqual([["i"], ["i"]])
  expect(b.registry.journal({ id: "dead", limit: 1 })[0]?.why).toMatch(
    /no heartbeat in the 30\.\d s since (the storage was reached again|this server became its keeper)/,
  )
})

it("probes are divided among the servers that are there, and told of when they move", async () => {
  const { a, b, c, clock } = await servers(3)
  const keys = Array.from({ length: 300 }, (_, index) => ({ service: "s", id: `i${index}` }))
  const shares = () => [a, b, c].map(({ registry }) => keys.filter((one) => registry.probes(one)).length)
  expect(shares().reduce((sum, share) => sum + share)).toBe(300)
  expect(Math.min(...shares())).toBeGreaterThan(70)
  const [one] = keys
  const probing = [a, b, c].filter(({ registry }) => one && registry.probes(one))
  expect(probing).toHaveLength(1)
  expect(new Set([a, b, c].map(({ registry }) => one && registry.prober(one)?.url)).size).toBe(1)
  let told = 0
  const end = a.registry.onDivided(() => told++)
  await c.registry.close()
  await clock.advance(0)
  expect([shares()[0] ?? 0, shares()[1] ?? 0].reduce((sum, share) => sum + share)).toBe(300)
  expect(told).toBe(1)
  end()
})
