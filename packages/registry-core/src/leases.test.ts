import { ManualClock } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { createMemoryStorage } from "./memory/index.ts"
import type { Registry } from "./registry.ts"
import type { RegistryStorage } from "./storage-port.ts"
import { KeptData, openRegistry, sampleRegistration } from "./testing/index.ts"

const by = { origin: "api", by: "test" } as const

async function fleet(registry: Registry, size: number, changes: Parameters<typeof sampleRegistration>[0] = {}) {
  const keys = Array.from({ length: size }, (_, index) => ({ service: "s", id: `i${String(index).padStart(5, "0")}` }))
  await Promise.all(keys.map((key, index) => registry.register(key, sampleRegistration({ port: 1000 + (index % 60_000), ...changes }), by)))
  return keys
}

const ids = (registry: Registry) => registry.list("s").instances.map((instance) => instance.id)
const standings = (registry: Registry) => registry.list("s").instances.map((instance) => instance.standing)

/** Moves time in steps of a second, with heartbeats every 5 s from those that live. */
async function live(clock: ManualClock, registry: Registry, keys: readonly { service: string; id: string }[], seconds: number) {
  for (let second = 1; second <= seconds; second++) {
    await clock.advance(1000)
    if (second % 5 === 0) for (const key of keys) registry.heartbeat(key)
  }
}

it("an instance stays as long as it is heard, and goes within a second of its lease's end", async () => {
  const { registry, clock } = await openRegistry()
  const [heard, silent] = await fleet(registry, 2)
  if (!heard || !silent) throw new Error("no fleet")
  await live(clock, registry, [heard], 30)
  expect(ids(registry)).toEqual([heard.id, silent.id])
  await clock.advance(1000)
  expect(ids(registry)).toEqual([heard.id])
  expect(registry.journal({ id: silent.id, limit: 1 })[0]).toMatchObject({
    what: "expired",
    by: "registry",
    why: expect.stringMatching(/^lease expired: last heartbeat 30\.\d s ago$/),
  })
  expect(registry.heartbeat(silent)).toEqual({ status: 404 })
})

it("a read after the end leaves the instance out before the timer has run, and writes nothing", async () => {
  const { registry, clock } = await openRegistry()
  const [key] = await fleet(registry, 1)
  if (!key) throw new Error("no fleet")
  await clock.advance(29_800)
  const { revision } = registry.position
  clock.pause(400)
  expect([registry.list("s").instances, registry.get(key), registry.services(), registry.position.revision]).toEqual([[], undefined, [], revision])
})

it("check-ins end with the lease itself, for those too that are held as suspects", async () => {
  const { registry, clock } = await openRegistry()
  const keys = await fleet(registry, 4)
  const [heard, late] = keys
  if (!heard || !late) throw new Error("no fleet")
  const started = clock.now()
  await clock.advance(10_000)
  registry.heartbeat(late)
  await clock.advance(20_000)
  registry.heartbeat(heard)
  const at = (ms: number) => registry.checkIns("s").map((checkIn) => [checkIn.instance.id, checkIn.at - started, ms])
  expect(at(0)).toHaveLength(4)
  await clock.advance(1)
  expect(at(1)).toEqual([
    [heard.id, 30_000, 1],
    [late.id, 10_000, 1],
  ])
  await clock.advance(1000)
  expect(standings(registry)).toEqual(["serving", "suspect", "suspect", "suspect"])
  expect(at(2)).toHaveLength(2)
  expect(registry.checkIns("nothing")).toEqual([])
})

it("ttl 0 never runs out", async () => {
  const { registry, clock } = await openRegistry()
  const [key] = await fleet(registry, 1, { ttlSeconds: 0 })
  await clock.advance(24 * 3600_000)
  expect(key && registry.get(key)?.lease).toMatchObject({ expiresAt: null })
})

it("a pause of the registry's own process extends every lease by the pause", async () => {
  const { registry, clock } = await openRegistry()
  const keys = await fleet(registry, 2)
  await clock.advance(20_000)
  clock.pause(60_000)
  expect(ids(registry)).toHaveLength(2)
  await clock.advance(9000)
  expect(ids(registry)).toHaveLength(2)
  expect(keys[0] && registry.heartbeat(keys[0])).toMatchObject({ status: 200 })
  await clock.advance(2000)
  expect(ids(registry)).toEqual([keys[0]?.id])
})

it("a jump of the wall clock expires nothing and saves nobody", async () => {
  const { registry, clock } = await openRegistry()
  const [key] = await fleet(registry, 1)
  clock.jumpWall(7 * 24 * 3600_000)
  await clock.advance(20_000)
  expect(key && registry.get(key)?.standing).toBe("serving")
  clock.jumpWall(-14 * 24 * 3600_000)
  await clock.advance(11_000)
  expect(ids(registry)).toEqual([])
})

it("half a fleet killed on living hosts is gone within ttl + 2 s", async () => {
  const dead = new Set<number>()
  const { registry, clock } = await openRegistry({ probeSuspect: ({ port }) => Promise.resolve(!dead.has(port)) })
  const keys = await fleet(registry, 12)
  for (let index = 0; index < 6; index++) dead.add(1000 + index)
  await live(clock, registry, keys.slice(6), 32)
  expect(ids(registry)).toEqual(keys.slice(6).map((key) => key.id))
  expect(standings(registry)).toEqual(Array(6).fill("serving"))
  expect(registry.journal({ id: "i00000", limit: 1 })[0]?.why).toMatch(/last heartbeat 3\d\.\d s ago, and 127\.0\.0\.1:1000 refuses connections/)
})

it("half a fleet on unreachable hosts is held as suspect, and released by the bound", async () => {
  const { registry, clock } = await openRegistry({ probeSuspect: () => Promise.resolve(true) })
  const keys = await fleet(registry, 12)
  await live(clock, registry, keys.slice(6), 35)
  expect(standings(registry)).toEqual([...Array<string>(6).fill("suspect"), ...Array<string>(6).fill("serving")])
  expect(registry.list("s").instances[0]?.why).toMatch(
    /no heartbeat for 3\d\.\d s, like at least half of s; serves again when heard, goes when its port refuses or at 20/,
  )
  await live(clock, registry, keys.slice(6), 290)
  expect(standings(registry).filter((standing) => standing === "suspect")).toHaveLength(6)
  await live(clock, registry, keys.slice(6), 10)
  expect(standings(registry)).toEqual(Array(6).fill("serving"))
  expect(registry.journal({ id: "i00000", limit: 1 })[0]?.why).toMatch(/held as suspect for 30\d s$/)
})

it("a suspect that is heard serves again, by heartbeat or by registration", async () => {
  const { registry, clock } = await openRegistry({ probeSuspect: () => Promise.resolve(true) })
  const keys = await fleet(registry, 3)
  await clock.advance(32_000)
  expect(standings(registry)).toEqual(["suspect", "suspect", "suspect"])
  if (keys[0]) registry.heartbeat(keys[0])
  if (keys[1]) await registry.register(keys[1], sampleRegistration({ port: 1001 }), by)
  await clock.advance(20)
  expect(standings(registry)).toEqual(["serving", "serving", "suspect"])
  expect(registry.journal({ limit: 1, id: "i00000" })[0]).toMatchObject({ what: "heard" })
})

it("a heartbeat that arrives while a suspect is probed has the last word", async () => {
  let answer: (listens: boolean) => void = () => {}
  const { registry, clock } = await openRegistry({ probeSuspect: () => new Promise((resolve) => (answer = resolve)) })
  const keys = await fleet(registry, 3)
  await clock.advance(32_000)
  for (const key of keys) registry.heartbeat(key)
  answer(false)
  await clock.advance(1000)
  expect(standings(registry)).toEqual(["serving", "serving", "serving"])
})

it("two of two may go at once: protection begins with three", async () => {
  const { registry, clock } = await openRegistry({ probeSuspect: () => Promise.resolve(true) })
  await fleet(registry, 2)
  await clock.advance(31_000)
  expect(ids(registry)).toEqual([])
})

it("suspects without anyone to ask go when a verdict says failing", async () => {
  const { registry, clock } = await openRegistry()
  const [key] = await fleet(registry, 3, { check: { method: "ping" } })
  if (!key) throw new Error("no fleet")
  await clock.advance(31_000)
  await registry.reportHealth(key, { status: "failing", reason: "refused", by: "poller" })
  expect(registry.get(key)).toBeUndefined()
})

it("after a restart leases get one full ttl, except those that ran out before the stop", async () => {
  const clock = new ManualClock()
  const store = new KeptData(clock)
  const first = await openRegistry({ storage: store.storage(), clock })
  const [gone, heard] = await fleet(first.registry, 2, { ttlSeconds: 100 })
  if (!gone || !heard) throw new Error("no fleet")
  for (let step = 0; step < 3; step++) {
    await clock.advance(30_000)
    first.registry.heartbeat(heard)
  }
  store.lastAliveAt = clock.now() + 63_000
  await first.registry.close()
  await clock.advance(3_600_000)
  const { registry } = await openRegistry({ storage: store.storage(), clock })
  expect(ids(registry)).toEqual([heard.id])
  expect(registry.journal({ limit: 10 })).toMatchObject([
    {
      id: gone.id,
      what: "expired",
      why: expect.stringMatching(/^lease expired before the registry stopped: last heartbeat stored 15\d\.\d s earlier$/),
    },
  ])
  await clock.advance(99_000)
  expect(ids(registry)).toEqual([heard.id])
  await clock.advance(2000)
  expect(ids(registry)).toEqual([])
})

it("nobody is expired for the registry's own absence", async () => {
  const clock = new ManualClock()
  const store = new KeptData(clock)
  const first = await openRegistry({ storage: store.storage(), clock })
  await fleet(first.registry, 20)
  await clock.advance(25_000)
  await first.registry.close()
  await clock.advance(24 * 3600_000)
  const { registry } = await openRegistry({ storage: store.storage(), clock })
  expect(ids(registry)).toHaveLength(20)
})

it("heartbeats of 10,000 instances write nothing but touches, once per half ttl, and wake no watcher", async () => {
  const store = new KeptData()
  const { registry, clock } = await openRegistry({ storage: store.storage() })
  const keys = await fleet(registry, 10_000)
  let wakes = 0
  const watch = registry.watch({}, () => wakes++)
  await clock.advance(100)
  watch.take()
  const { revision } = registry.position
  store.ops.length = 0
  wakes = 0
  for (let beat = 0; beat < 6; beat++) {
    await clock.advance(5000)
    for (const key of keys) registry.heartbeat(key)
  }
  await clock.advance(1000)
  expect(new Set(store.ops.map((op) => op.op))).toEqual(new Set(["touch"]))
  expect(store.ops).toHaveLength(20_000)
  expect([wakes, watch.take(), registry.position.revision]).toEqual([0, [], revision])
})

it("a storage that fails refuses changes, keeps reads and leases, and is used again when it answers", async () => {
  const store = new KeptData()
  const lines: string[] = []
  const { registry, clock } = await openRegistry({ storage: store.storage(), log: (_level, message) => lines.push(message) })
  const [key] = await fleet(registry, 1)
  if (!key) throw new Error("no fleet")
  const before = registry.list("s")
  store.fault = new Error("disk full")
  await expect(registry.patch(key, { weight: 5 }, { by: "operator" })).rejects.toMatchObject({
    code: "storage_unavailable",
    message: expect.stringContaining("disk full"),
  })
  await expect(registry.register({ service: "s", id: "new" }, sampleRegistration(), by)).rejects.toMatchObject({ code: "storage_unavailable" })
  expect(registry.list("s")).toEqual(before)
  expect(registry.readiness()).toEqual({ ready: false, reasons: [expect.stringContaining("disk full")] })
  expect(registry.heartbeat(key)).toMatchObject({ status: 200 })
  await clock.advance(40_000)
  expect(registry.list("s").instances).toEqual([])
  store.fault = undefined
  await clock.advance(5000)
  expect(registry.readiness()).toEqual({ ready: true, reasons: [] })
  expect(registry.journal({ limit: 1 })).toMatchObject([{ what: "expired" }])
  expect(lines).toEqual([expect.stringContaining("disk full"), "the storage kept answers again"])
})

it("a registry that idles tells its storage every 5 s that it lives, until it is closed", async () => {
  let commits = 0
  const inner = createMemoryStorage()
  const storage: RegistryStorage = {
    name: "counting",
    open: () => inner.open(),
    close: () => inner.close(),
    commit: (ops) => (commits++, inner.commit(ops)),
  }
  const { registry, clock } = await openRegistry({ storage })
  await clock.advance(60_000)
  expect(commits).toBeGreaterThanOrEqual(12)
  await registry.close()
  await registry.close()
  expect(clock.pendingTimers).toBe(0)
  await expect(registry.register({ service: "s", id: "1" }, sampleRegistration(), by)).rejects.toMatchObject({ code: "storage_unavailable" })
})

it("a storage that does not answer for 5 s refuses changes until it does, and what it had taken counts", async () => {
  const store = new KeptData()
  const inner = store.storage()
  let release: () => void = () => {}
  let gate: Promise<void> = Promise.resolve()
  const storage: RegistryStorage = { ...inner, commit: async (ops) => (await gate, inner.commit(ops)) }
  const { registry, clock } = await openRegistry({ storage })
  const [key] = await fleet(registry, 1)
  if (!key) throw new Error("no fleet")
  gate = new Promise((resolve) => (release = resolve))
  const waiting = registry.patch(key, { weight: 5 }, { by: "operator" })
  await clock.advance(4900)
  expect(registry.readiness().ready).toBe(true)
  await clock.advance(200)
  expect(registry.readiness()).toEqual({ ready: false, reasons: ["the storage kept has not answered for 5 s"] })
  await expect(registry.patch(key, { weight: 6 }, { by: "operator" })).rejects.toMatchObject({ code: "storage_unavailable" })
  expect([registry.heartbeat(key).status, registry.get(key)?.weight]).toEqual([200, undefined])
  release()
  expect(await waiting).toMatchObject({ weight: 5 })
  expect(registry.readiness().ready).toBe(true)
  expect(await registry.patch(key, { weight: 6 }, { by: "operator" })).toMatchObject({ weight: 6 })
})

it("a heartbeat too late to be kept is told so at once, so that the instance registers again", async () => {
  const store = new KeptData()
  const inner = store.storage()
  let release: () => void = () => {}
  let gate: Promise<void> = Promise.resolve()
  const storage: RegistryStorage = { ...inner, commit: async (ops) => (await gate, inner.commit(ops)) }
  const { registry, clock } = await openRegistry({ storage })
  const [key] = await fleet(registry, 1)
  if (!key) throw new Error("no fleet")
  await clock.advance(29_000)
  gate = new Promise((resolve) => (release = resolve))
  await clock.advance(2000)
  expect(registry.heartbeat(key)).toEqual({ status: 404 })
  const again = registry.register(key, sampleRegistration(), by)
  release()
  expect(await again).toMatchObject({ created: true })
  expect(registry.get(key)?.standing).toBe("serving")
})

it.each([
  ["refuse, they are gone within ttl + 2 s", false, 6],
  ["are silent, they are held", true, 12],
])("when those that a check already found failing %s", async (_title, listens, left) => {
  const { registry, clock } = await openRegistry({ probeSuspect: () => Promise.resolve(listens) })
  const keys = await fleet(registry, 12, { check: { method: "ping" } })
  for (const key of keys) await registry.reportHealth(key, { status: "passing", reason: "connected", by: "poller" })
  for (const key of keys.slice(0, 6)) await registry.reportHealth(key, { status: "failing", reason: "no answer", by: "poller" })
  await live(clock, registry, keys.slice(6), 32)
  expect(ids(registry)).toHaveLength(left)
  expect(standings(registry).filter((standing) => standing === "serving")).toHaveLength(6)
})

it("a thousand suspects are asked 64 at a time, and all that refuse are gone within ttl + 2 s", async () => {
  let under = 0
  let most = 0
  const clock = new ManualClock()
  const probeSuspect = async ({ port }: { port: number }) => {
    most = Math.max(most, ++under)
    await new Promise<void>((resolve) => clock.timer(10, resolve))
    under--
    if (port % 4 === 0) throw new Error("the probe itself failed, which proves nothing")
    return port >= 2000
  }
  const { registry } = await openRegistry({ clock, probeSuspect })
  const keys = await fleet(registry, 2000)
  await live(clock, registry, keys.slice(1000), 32)
  expect(ids(registry)).toHaveLength(1250)
  expect(most).toBe(64)
})

it("who was given a ttl at a start still has it when the server is started once more", async () => {
  const clock = new ManualClock()
  const data = new KeptData(clock)
  const start = async () => (await openRegistry({ clock, storage: data.storage() })).registry
  const first = await start()
  await fleet(first, 3)
  await first.close()
  await clock.advance(50_000)
  const second = await start()
  await clock.advance(5000)
  await second.close()
  const third = await start()
  expect(ids(third)).toHaveLength(3)
  await clock.advance(4000)
  expect(data.lastAliveAt).toBeGreaterThan(clock.now() - 5000)
  await third.close()
  expect(ids(await start())).toHaveLength(3)
})
