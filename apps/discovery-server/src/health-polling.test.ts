import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { checkSchema, instanceSchema, MeshError, systemClock, type Instance, type InstanceDetail } from "@meshwork/contract"
import { ManualClock, seededRandom } from "@meshwork/contract/testing"
import type { HealthReport, Registry } from "@meshwork/registry-core"
import { pino } from "pino"
import { expect, it, onTestFinished } from "vitest"
import { createSuspectProbe, startHealthPolling } from "./health-polling.ts"

async function listening(): Promise<number> {
  const server = createServer((_, response) => response.end())
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

const instance = (id: string, port: number): Instance =>
  instanceSchema.parse({
    service: "payment",
    id,
    host: "127.0.0.1",
    port,
    boot: "b1",
    check: checkSchema.parse({ method: "http", path: "/", frequencySeconds: 3600 }),
    origin: "api",
    registeredAt: 1,
    health: { status: "unknown", since: 1, reason: "", by: "" },
    state: "up",
    standing: "out",
    why: "",
  })

/** The part of a registry that polling uses, with a storage that can be away and counted reads. */
function scripted(instances: Instance[]) {
  const seen = { lists: 0, reports: [] as HealthReport[], storage: true, wake: () => {}, revision: 1, mine: true, divide: () => {}, stale: false }
  const registry: Pick<
    Registry,
    "position" | "services" | "list" | "get" | "watch" | "reportHealth" | "probes" | "prober" | "onDivided" | "staleSince"
  > = {
    staleSince: () => (seen.stale ? 1 : undefined),
    get: ({ id }) => instances.find((each) => each.id === id) as InstanceDetail | undefined,
    probes: () => seen.mine,
    prober: () => ({ id: "other", url: "http://10.0.0.9:8008" }),
    onDivided: (listener) => {
      seen.divide = listener
      return () => {}
    },
    position: { epoch: "e", revision: 1 },
    services: () => [{ name: "payment", instances: instances.length, serving: 0, revision: seen.revision }],
    list: () => {
      seen.lists++
      return { revision: seen.revision, instances }
    },
    watch: (_, wake) => {
      seen.wake = wake
      return { take: () => [], close: () => {} }
    },
    reportHealth: async (_, report) => {
      seen.reports.push(report)
      if (!seen.storage) throw new MeshError("storage_unavailable", "the disk is full")
    },
  }
  return { seen, registry: registry as Registry }
}

it("offers a verdict again until the registry can store it", async () => {
  const clock = new ManualClock()
  const { seen, registry } = scripted([instance("a", await listening())])
  seen.storage = false
  const polling = startHealthPolling({ registry, clock, random: seededRandom(1), log: pino({ level: "silent" }) })
  await clock.advance(1)
  await expect
    .poll(() => seen.reports)
    .toMatchObject([{ status: "passing", boot: "b1", by: "poller", reason: expect.stringContaining("answered 200") }])
  await clock.advance(1000)
  expect(seen.reports).toHaveLength(2)
  seen.storage = true
  await clock.advance(5000)
  expect(seen.reports).toHaveLength(3)
  await polling.close()
  expect(clock.pendingTimers).toBe(0)
})

it("rebuilds its targets at most every 50 ms, and only of services that changed", async () => {
  const clock = new ManualClock()
  const { seen, registry } = scripted([])
  const polling = startHealthPolling({ registry, clock, random: seededRandom(1), log: pino({ level: "silent" }) })
  expect(seen.lists).toBe(1)
  for (let n = 0; n < 100; n++) {
    seen.revision++
    seen.wake()
    await clock.advance(1)
  }
  expect(seen.lists).toBeLessThanOrEqual(4)
  await clock.advance(60)
  const before = seen.lists
  seen.wake()
  await clock.advance(60)
  expect(seen.lists).toBe(before)
  await polling.close()
})

it("probes what is this server's to probe, and takes over and gives up as servers come and go", async () => {
  const clock = new ManualClock()
  const { seen, registry } = scripted([instance("a", await listening())])
  seen.mine = false
  const polling = startHealthPolling({ registry, clock, random: seededRandom(1), log: pino({ level: "silent" }) })
  const key = { service: "payment", id: "a" }
  await clock.advance(100)
  expect([[...polling.history(key)], polling.state(key), polling.polledBy(key)]).toEqual([[], undefined, "http://10.0.0.9:8008"])
  expect(polling.probing(key)).toEqual({ by: "http://10.0.0.9:8008", next: "ask http://10.0.0.9:8008, which probes it" })
  seen.mine = true
  seen.divide()
  await clock.advance(100)
  await expect.poll(() => [...polling.history(key)]).toHaveLength(1)
  expect(polling.probing(key)).toMatchObject({ last: { status: "active" }, next: "a failed check would make it failing, one every 3600 s" })
  expect([polling.polledBy(key), polling.probing({ service: "payment", id: "b" })]).toEqual([undefined, undefined])
  seen.mine = false
  seen.divide()
  await clock.advance(100)
  expect(polling.state(key)).toBeUndefined()
  await polling.close()
})

it("probes nothing while it does not reach the store, and says then only what is still its own to say", async () => {
  const clock = new ManualClock()
  const { seen, registry } = scripted([instance("a", await listening())])
  const polling = startHealthPolling({ registry, clock, random: seededRandom(1), log: pino({ level: "silent" }) })
  const key = { service: "payment", id: "a" }
  seen.stale = true
  await clock.advance(0)
  await expect.poll(() => [...polling.history(key)]).toHaveLength(1)
  seen.wake()
  await clock.advance(3600_000 * 2)
  expect([...polling.history(key)]).toHaveLength(1)
  expect(seen.reports).toEqual([])
  seen.mine = false
  seen.stale = false
  seen.divide()
  await clock.advance(2000)
  expect(seen.reports).toEqual([])
  seen.mine = true
  seen.divide()
  await clock.advance(2000)
  await expect.poll(() => seen.reports).toMatchObject([{ status: "passing" }])
  await polling.close()
  expect(clock.pendingTimers).toBe(0)
})

it("a suspect is disproved by a refused connection only", async () => {
  const listens = createSuspectProbe(systemClock)
  const port = await listening()
  expect(await listens({ host: "127.0.0.1", port })).toBe(true)
  expect(await listens({ host: "no-such-host.invalid", port })).toBe(true)
  const gone = createServer()
  await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve))
  const { port: closed } = gone.address() as AddressInfo
  await new Promise((resolve) => gone.close(resolve))
  expect(await listens({ host: "127.0.0.1", port: closed })).toBe(false)
})
