import { systemRandom } from "@meshwork/contract"
import { ManualClock } from "@meshwork/contract/testing"
import type { StorageOp, StoredState } from "@meshwork/registry-core"
import { sampleRecord } from "@meshwork/registry-core/testing"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { createDynamodbStorage } from "./index.ts"
import { ownService } from "./log-row.ts"
import { NewsQueue } from "./news-queue.ts"
import { SharedTable } from "./shared-table.ts"
import type { Item } from "./table.ts"
import { type DynaliteServer, startDynalite } from "./testing/dynalite-server.ts"

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
const tags = { az: "us-east-1a", region: "us-east-1", instance_id: "i-1", load_balancing_weight: 7, canary: true, onebox: null }

/** A row as lyft/discovery writes it. */
function lyftRow(ip: string, lastCheckIn = "2016-05-27T23:42:30.000000+0000", changes: Item = {}): Item {
  return {
    service: { S: "orders" },
    ip_address: { S: ip },
    service_repo_name: { S: "orders-repo" },
    port: { N: "8080" },
    revision: { S: "abc" },
    last_check_in: { S: lastCheckIn },
    tags: { S: JSON.stringify(tags) },
    ...changes,
  }
}

async function opened(): Promise<{ state: StoredState; commit: (...ops: StorageOp[]) => Promise<unknown>; close: () => Promise<void> }> {
  const storage = createDynamodbStorage({ table: "hosts", endpoint: server.url })
  ends.push(() => storage.close())
  return { state: await storage.open(), commit: (...ops) => storage.commit(ops), close: () => storage.close() }
}

/** A server whose clock a test moves, so that it decides when the census is. */
async function observer() {
  const clock = new ManualClock()
  const table = server.table
  const shared = new SharedTable({ table, clock, random: systemRandom, legacyTtlSeconds: 600, slots: 64, notice: () => {}, news: new NewsQueue() })
  await shared.open()
  ends.push(() => Promise.resolve(shared.stop()))
  const census = async () => {
    const done = shared.census(new AbortController().signal)
    await clock.advance(5000)
    await done
    await shared.drained()
    return shared.state()
  }
  return { clock, shared, census }
}

const ranges = async () =>
  (await server.items()).filter((item) => item["service"]?.S !== ownService).map((item) => `${item["service"]?.S} ${item["ip_address"]?.S}`)
const seen = (state: StoredState) => state.records.map(({ record, renewedAt }) => [record.id, record.port, renewedAt]).sort()

it("its rows are read as instances whose lease counts from the last check-in", async () => {
  await server.table.put(lyftRow("10.0.0.1"))
  await server.table.put(lyftRow("fe80::1", "2016-05-27 23:42:30.500000+00:00", { tags: { S: "{}" }, service_repo_name: { S: "r" } }))
  const { state } = await opened()
  expect(state.problems).toEqual([])
  const renewedAt = Date.UTC(2016, 4, 27, 23, 42, 30)
  expect(seen(state)).toEqual([
    ["10.0.0.1:8080", 8080, renewedAt],
    ["[fe80::1]:8080", 8080, renewedAt + 500],
  ])
  const [first] = state.records.filter(({ record }) => record.host === "10.0.0.1")
  expect(first?.record).toMatchObject({
    service: "orders",
    origin: "lyft",
    ttlSeconds: 600,
    zone: "us-east-1a",
    region: "us-east-1",
    weight: 7,
    canary: true,
    repo: "orders-repo",
    revision: "abc",
    tags: { instance_id: "i-1", onebox: null },
  })
  expect((await ranges()).sort()).toEqual(["orders 10.0.0.1", "orders fe80::1"])
  // The next one to open sees the same, not a change.
  const { state: again } = await opened()
  expect([again.revision, seen(again)]).toEqual([state.revision, seen(state)])
})

it("a registration replaces its row by one of ours, and a removal removes it", async () => {
  await server.table.put(lyftRow("10.0.0.1"))
  await server.table.put(lyftRow("10.0.0.2"))
  const { state, commit, close } = await opened()
  const [kept, gone] = state.records.sort((a, b) => (a.record.id < b.record.id ? -1 : 1))
  if (!kept || !gone) throw new Error("not read")
  await commit({ op: "put", record: { ...kept.record, weight: 50 }, ifVersion: kept.version, cause })
  await commit({ op: "delete", key: gone.record, ifVersion: gone.version, cause })
  await close()
  expect(await ranges()).toEqual(["orders 10.0.0.1:8080"])
  const { state: again } = await opened()
  expect(again.records.map(({ record }) => [record.id, record.weight])).toEqual([["10.0.0.1:8080", 50]])
})

it("what it does in the table beside us is taken in by the census: new hosts, changes and deletions", async () => {
  await server.table.put(lyftRow("10.0.0.1"))
  const { census } = await observer()
  await server.table.put(lyftRow("10.0.0.2"))
  expect(seen(await census()).map(([id]) => id)).toEqual(["10.0.0.1:8080", "10.0.0.2:8080"])
  await server.table.put(lyftRow("10.0.0.1", "2016-05-27T23:48:40.000000+0000", { revision: { S: "next" } }))
  expect((await census()).records.map(({ record }) => record.revision).sort()).toEqual(["abc", "next"])
  await server.table.delete({ service: "orders", range: "10.0.0.2" })
  const last = await census()
  expect([seen(last).map(([id]) => id), last.removed]).toEqual([
    ["10.0.0.1:8080"],
    [{ key: { service: "orders", id: "10.0.0.2:8080" }, revision: last.revision, cause: expect.objectContaining({ by: "lyft/discovery" }) }],
  ])
})

it("check-ins are taken in once per half ttl, and then the latest: the last one of a host is known before the lease before it is over", async () => {
  const { clock, census } = await observer()
  const begin = clock.now()
  const checkIn = async (second: number) => {
    await server.table.put(lyftRow("10.0.0.1", new Date(begin + second * 1000).toISOString().replace("Z", "000+0000")))
    const state = await census()
    return [state.revision, ((state.records[0]?.renewedAt ?? 0) - begin) / 1000]
  }
  const [revision] = await checkIn(0)
  await clock.advance(60_000)
  expect(await checkIn(60)).toEqual([revision, 0])
  await clock.advance(180_000)
  expect(await checkIn(240)).toEqual([revision, 0])
  await clock.advance(60_000)
  expect((await census()).records[0]?.renewedAt).toBe(begin + 240_000)
  expect((await census()).revision).toBe((revision ?? 0) + 1)
})

it("our rows can be read by its readers: their attributes beside the whole record, no empty repository", async () => {
  const { commit, close } = await opened()
  const record = sampleRecord("orders", "10.0.0.1:80", {
    host: "10.0.0.1",
    port: 80,
    repo: "r",
    revision: "abc",
    zone: "z",
    weight: 3,
    tags: { a: 1 },
  })
  await commit({ op: "put", record, ifVersion: null, cause }, { op: "put", record: sampleRecord("a", "1"), ifVersion: null, cause })
  await close()
  const items = await server.items()
  const item = items.find((each) => each["ip_address"]?.S === "10.0.0.1:80")
  expect(item).toMatchObject({
    service: { S: "orders" },
    service_repo_name: { S: "r" },
    port: { N: "80" },
    revision: { S: "abc" },
    last_check_in: { S: "2023-11-14T22:13:20.000000+0000" },
  })
  expect(JSON.parse(item?.["tags"]?.S ?? "")).toEqual({ a: 1, az: "z", load_balancing_weight: 3 })
  expect(JSON.parse(item?.["meshwork"]?.S ?? "")).toEqual(record)
  expect(items.find((each) => each["service"]?.S === "a")?.["service_repo_name"]).toBeUndefined()
})

it("a row that comes late from a server that slept goes again, one that was lost comes back", async () => {
  const { commit, close } = await opened()
  const [first] = (await commit({ op: "put", record: sampleRecord("a", "1"), ifVersion: null, cause })) as { version: string }[]
  await commit({ op: "put", record: sampleRecord("a", "2"), ifVersion: null, cause })
  await vi.waitFor(async () => expect(await ranges()).toHaveLength(2))
  const late = (await server.items()).find((item) => item["ip_address"]?.S === "1")
  await commit({ op: "delete", key: { service: "a", id: "1" }, ifVersion: first?.version ?? "", cause })
  await close()
  const { census } = await observer()
  if (late) await server.table.put(late)
  await server.table.delete({ service: "a", range: "2" })
  expect((await ranges()).sort()).toEqual(["a 1"])
  await census()
  expect(await ranges()).toEqual(["a 2"])
})

it.each([
  ["a name instead of an address", lyftRow("host-1"), "orders/host-1", /"host-1" is no IP address/],
  ["no port", lyftRow("10.0.0.9", undefined, { port: { S: "x" } }), "orders/10.0.0.9", /port/],
  ["a check-in that is none", lyftRow("10.0.0.9", "yesterday"), "orders/10.0.0.9", /"yesterday" is no instant/],
  ["tags that are none", lyftRow("10.0.0.9", undefined, { tags: { S: "[1]" } }), "orders/10.0.0.9", /tags/],
  ["a record that is none", { ...lyftRow("10.0.0.9"), meshwork: { S: '{"host":' } }, "orders/10.0.0.9", /not JSON/],
  ["a record of another", { ...lyftRow("10.0.0.9"), meshwork: { S: JSON.stringify(sampleRecord("a", "1")) } }, "orders/10.0.0.9", /another instance/],
])("a row with %s is reported and left in place, the others are served", async (_title, item, key, message) => {
  await server.table.put(item)
  await server.table.put(lyftRow("10.0.0.1"))
  const { state } = await opened()
  expect([seen(state).map(([id]) => id), state.problems]).toEqual([["10.0.0.1:8080"], [{ key, message: expect.stringMatching(message) }]])
  expect(await ranges()).toHaveLength(2)
})
