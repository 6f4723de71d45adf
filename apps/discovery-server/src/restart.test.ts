import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { openStorage } from "./storages.ts"
import { startServer, subscribe } from "./testing/server-bench.ts"

it("keeps registrations, epoch and revisions over a restart on sqlite, so that a watch resumes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "discovery-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const spec = `sqlite:${join(folder, "registry.sqlite")}`
  const first = await startServer({ storage: await openStorage(spec) })
  const body = { host: "10.0.0.7", port: 9000, tags: { env: "production" } }
  await first.call("/v1/services/payment/instances/a", { method: "PUT", body })
  await first.call("/v1/services/orders/instances/o", { method: "PUT", body: { host: "10.0.0.8", port: 9100 } })
  const watcher = await subscribe(`${first.url}/v1/watch?service=payment&service=orders`)
  await expect.poll(() => watcher.events.map(({ event }) => event)).toContain("synced")
  const before = (await first.call("/v1/services/payment/instances")).json
  await first.close()

  const second = await startServer({ storage: await openStorage(spec) })
  const after = (await second.call("/v1/services/payment/instances")).json
  expect({ epoch: after.epoch, instances: after.instances }).toEqual({ epoch: before.epoch, instances: before.instances })
  expect(after.revision).toBeGreaterThanOrEqual(before.revision)
  await second.call("/v1/services/orders/instances/p", { method: "PUT", body: { host: "10.0.0.9", port: 9100 } })
  const resumed = await subscribe(`${second.url}/v1/watch?service=payment&service=orders`, { "last-event-id": watcher.lastId() ?? "" })
  await expect.poll(() => resumed.events.map(({ event }) => event)).toContain("synced")
  expect(resumed.events.map(({ event }) => event)).not.toContain("reset")
  const told = resumed.events.flatMap(({ event, data }) => ("service" in data ? [{ event, service: data.service }] : []))
  expect(told.map(({ service }) => service)).toEqual(["orders"])
})

it("says who has the file when a second server wants it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "discovery-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const spec = `sqlite:${join(folder, "registry.sqlite")}`
  await startServer({ storage: await openStorage(spec) })
  await expect(startServer({ storage: await openStorage(spec) })).rejects.toMatchObject({
    code: "storage_unavailable",
    message: expect.stringContaining("registry.sqlite"),
  })
})
