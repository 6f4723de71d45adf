import type { OpResult, SharedStorage, StorageOp, StoredState } from "@meshwork/registry-core"
import { sampleRecord } from "@meshwork/registry-core/testing"
import { afterEach, beforeEach, expect, it } from "vitest"
import { createDynamodbStorage } from "./index.ts"
import { ownService } from "./log-row.ts"
import { type DynaliteServer, startDynalite, wayTo } from "./testing/dynalite-server.ts"

let server: DynaliteServer
const ends: (() => Promise<void>)[] = []

beforeEach(async () => {
  server = await startDynalite("hosts")
  ends.push(() => server.close())
})
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

const cause = { by: "test", why: "", at: 1 }
const put = (id: string, port = 9000, ifVersion: string | null = null): StorageOp => ({
  op: "put",
  record: sampleRecord("a", id, { port }),
  ifVersion,
  cause,
})

async function opened(endpoint = server.url, logRows = 16): Promise<{ storage: SharedStorage; state: StoredState }> {
  const storage = createDynamodbStorage({ table: "hosts", endpoint, logRows })
  ends.push(() => storage.close())
  return { storage, state: await storage.open() }
}

async function versionOf(results: Promise<OpResult[]>): Promise<string> {
  const [result] = await results
  if (!result?.ok) throw new Error(`refused: ${JSON.stringify(result)}`)
  return result.version
}

const held = (state: StoredState) => state.records.map(({ record, version }) => `${record.id}:${record.port} ${version}`).sort()
const instanceRows = async () => (await server.items()).filter((item) => item["service"]?.S !== ownService)
const logRows = async () => (await server.items()).filter((item) => item["sequence"] !== undefined)

it("many commits of three servers through a ring of 16 rows leave the same at all, and in the rows", { timeout: 180_000 }, async () => {
  const servers = [(await opened()).storage, (await opened()).storage, (await opened()).storage]
  const versions = new Map<string, { port: number; version: string }>()
  for (let round = 0; round < 40; round++) {
    const news = Array.from({ length: 9 }, (_, index) => ({ id: `i${(round * 9 + index) % 30}`, storage: servers[index % 3] }))
    await Promise.all(
      news.map(async ({ id, storage }) => {
        const known = versions.get(id)
        if (storage === undefined) return
        if (known && (round + id.length) % 5 === 0) {
          await versionOf(storage.commit([{ op: "delete", key: { service: "a", id }, ifVersion: known.version, cause }]))
          versions.delete(id)
        } else versions.set(id, { port: 1 + round, version: await versionOf(storage.commit([put(id, 1 + round, known?.version ?? null)])) })
      }),
    )
  }
  const expected = [...versions].map(([id, { port, version }]) => `${id}:${port} ${version}`).sort()
  expect(held((await opened()).state)).toEqual(expected)
  expect((await logRows()).length).toBe(16)
  for (const storage of servers) await storage.close()
  const rows = (await instanceRows()).map((item) => `${item["ip_address"]?.S}:${item["port"]?.N} ${item["meshwork_revision"]?.N}`)
  expect(rows.sort()).toEqual(expected)
})

it("what a server that was killed left in the log alone survives the ring's next round", { timeout: 180_000 }, async () => {
  const { storage } = await opened()
  for (let number = 0; number < 5; number++) await versionOf(storage.commit([put(`kept-${number}`)]))
  await storage.close()
  // As if it had been killed before any row came after the log.
  await server.clear((item) => item["service"]?.S !== ownService)
  const { storage: next, state } = await opened()
  expect(state.records).toHaveLength(5)
  let version = await versionOf(next.commit([put("busy")]))
  for (let round = 0; round < 40; round++) version = await versionOf(next.commit([put("busy", 1 + round, version)]))
  await next.close()
  const { state: last } = await opened()
  expect(last.records.map(({ record }) => record.id).sort()).toEqual(["busy", "kept-0", "kept-1", "kept-2", "kept-3", "kept-4"])
})

it("a server that slept while the ring went round twice cannot write into the past", { timeout: 180_000 }, async () => {
  const way = await wayTo(server.url)
  ends.push(() => way.close())
  const { storage: sleeper } = await opened(way.url)
  await versionOf(sleeper.commit([put("old")]))
  const { storage: busy } = await opened()
  let version = await versionOf(busy.commit([put("busy")]))
  for (let round = 0; round < 40; round++) version = await versionOf(busy.commit([put("busy", 1 + round, version)]))
  const [stale] = await sleeper.commit([put("busy", 9999)])
  expect(stale).toMatchObject({ ok: false, why: "conflict", current: { version, record: { port: 40 } } })
  expect(await versionOf(sleeper.commit([put("new")]))).toBe(String(Number(version) + 1))
})

it("a change whose answer was lost is made once", { timeout: 180_000 }, async () => {
  const way = await wayTo(server.url)
  ends.push(() => way.close())
  const { storage } = await opened(way.url)
  const first = await versionOf(storage.commit([put("1")]))
  way.deaf = true
  const committed = versionOf(storage.commit([put("1", 9001, first), put("2")]))
  await new Promise((resolve) => setTimeout(resolve, 300))
  way.deaf = false
  expect(await committed).toBe("2")
  expect(await versionOf(storage.commit([put("3")]))).toBe("4")
  expect(held((await opened()).state)).toEqual(["1:9001 2", "2:9000 3", "3:9000 4"])
})

it("a table that does not answer refuses changes within 5 s, and takes them again at once", { timeout: 180_000 }, async () => {
  const way = await wayTo(server.url)
  ends.push(() => way.close())
  const { storage } = await opened(way.url)
  await versionOf(storage.commit([put("1")]))
  way.cut = true
  const begun = performance.now()
  await expect(storage.commit([put("2")])).rejects.toMatchObject({
    code: "storage_unavailable",
    message: expect.stringContaining("the DynamoDB table hosts"),
  })
  expect(performance.now() - begun).toBeLessThan(6000)
  await expect(storage.commit([])).rejects.toMatchObject({ code: "storage_unavailable" })
  way.cut = false
  await versionOf(storage.commit([put("2")]))
  expect((await opened()).state.records).toHaveLength(2)
})

it("a backup from before is another epoch, whose revisions go on", { timeout: 180_000 }, async () => {
  const { storage, state } = await opened()
  await versionOf(storage.commit([put("1")]))
  await storage.close()
  const backup = await server.items()
  const { storage: live } = await opened()
  for (const id of ["2", "3", "4"]) await versionOf(live.commit([put(id)]))
  await live.commit([])
  const iterator = live.changes(new AbortController().signal)[Symbol.asyncIterator]()
  await new Promise((resolve) => setTimeout(resolve, 100))
  await server.clear((item) => !backup.some((kept) => kept["ip_address"]?.S === item["ip_address"]?.S && kept["service"]?.S === item["service"]?.S))
  for (;;) {
    const { value } = await iterator.next()
    if (value === undefined || !("reset" in value)) continue
    expect([value.reset.epoch === state.epoch, held(value.reset), value.reset.revision]).toEqual([false, ["1:9000 1"], 4])
    break
  }
})
