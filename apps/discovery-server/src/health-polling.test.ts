import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { checkSchema, instanceSchema, MeshError, systemClock, type Instance } from "@meshwork/contract"
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
  const seen = { lists: 0, reports: [] as HealthReport[], storage: true, wake: () => {}, revision: 1 }
  const registry: Pick<Registry, "position" | "services" | "list" | "watch" | "reportHealth"> = {
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
