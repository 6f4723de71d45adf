import type { InstanceKey, InstanceRecord } from "@meshwork/contract"
import { afterEach, describe, expect, it, onTestFinished } from "vitest"
import type { Cause, OpResult, SharedStorage, StorageOp } from "../storage-port.ts"
import { changedKey, StorageFollower } from "./follow-storage.ts"
import { sampleRecord } from "./sample-record.ts"

/** An empty data set of a shared storage. */
export interface SharedDataSet {
  /** Another server's storage over the data. */
  storage(): SharedStorage | Promise<SharedStorage>
  /** Keeps a storage from hearing anything while `meanwhile` runs, and has the store forget how the state after it came about. */
  behind(storage: SharedStorage, meanwhile: () => Promise<void>): Promise<void>
  /** Has the store lose all of its data, as one does that was set up anew. */
  lose(): Promise<void>
  dispose(): Promise<void>
}

export interface DescribeSharedStorageOptions {
  dataSet: () => Promise<SharedDataSet>
}

type Accepted = Extract<OpResult, { ok: true }>

const cause = (why: string): Cause => ({ by: "test", why, at: 1, what: "tested" })
const put = (record: InstanceRecord, ifVersion: string | null = null, why = "put"): StorageOp => ({ op: "put", record, ifVersion, cause: cause(why) })
const remove = (key: InstanceKey, ifVersion: string, why = "removed"): StorageOp => ({ op: "delete", key, ifVersion, cause: cause(why) })

function accepted(result: OpResult | undefined): Accepted {
  expect(result).toMatchObject({ ok: true })
  return result as Accepted
}

/** The part of the conformance suite that several servers over one store need; called by `describeStorage`. */
export function describeSharedStorage(name: string, { dataSet }: DescribeSharedStorageOptions): void {
  describe(`shared storage ${name}`, { timeout: 60_000 }, () => {
    const ends: (() => Promise<void>)[] = []
    afterEach(async () => {
      for (const end of ends.splice(0).toReversed()) await end()
    })

    async function begin() {
      const data = await dataSet()
      onTestFinished(() => data.dispose())
      const join = async (id?: string) => {
        const storage = await data.storage()
        ends.push(() => storage.close())
        const state = await storage.open()
        const follower = new StorageFollower(storage, id === undefined ? undefined : { id, url: `http://${id}:8008` })
        ends.push(() => follower.stop())
        const commit = async (...ops: StorageOp[]) => (await storage.commit(ops)).map((result) => accepted(result))
        return { storage, state, follower, commit }
      }
      return { data, join }
    }

    it("tells every server of every commit in one order, its own included", async () => {
      const { join } = await begin()
      const servers = [await join(), await join(), await join()]
      const records = Array.from({ length: 60 }, (_, index) => sampleRecord("a", `i${index}`))
      const results = await Promise.all(records.map(async (record, index) => servers[index % 3]?.commit(put(record))))
      for (const { follower } of servers) await follower.until("60 changes", () => follower.changes.length >= 60)
      const [first, ...others] = servers.map(({ follower }) => follower.changes)
      for (const other of others) expect(other.map(changedKey)).toEqual(first?.map(changedKey))
      const told = new Map(first?.map((change) => [changedKey(change), change.op === "put" ? [change.stored.version, change.stored.revision] : []]))
      for (const [index, result] of results.entries()) expect(told.get(`a/i${index}`)).toEqual([result?.[0]?.version, result?.[0]?.revision])
      const revisions = first?.map((change) => (change.op === "put" ? change.stored.revision : change.revision)) ?? []
      expect(revisions.every((revision, index) => index === 0 || revision >= (revisions[index - 1] ?? 0))).toBe(true)
    })

    it("says who did it and why, of a removal too", async () => {
      const { join } = await begin()
      const [writer, reader] = [await join(), await join()]
      const record = sampleRecord("Order Service", "[::1]:80", { later: { deep: [1] }, format: 1 })
      const [created] = await writer.commit(put(record, null, "it came"))
      const key = { service: record.service, id: record.id }
      const [gone] = await writer.commit(remove(key, created?.version ?? "", "it went"))
      await reader.follower.until("both changes", () => reader.follower.changes.length === 2)
      expect(reader.follower.changes).toEqual([
        { op: "put", stored: { record, version: created?.version, revision: created?.revision }, cause: cause("it came") },
        { op: "delete", key, revision: gone?.revision, cause: cause("it went") },
      ])
      expect((await join()).state.removed ?? []).toEqual([{ key, revision: gone?.revision, cause: cause("it went") }])
    })

    it("begins where open ended: nothing is left out, nothing told twice", async () => {
      const { data, join } = await begin()
      const writer = await join()
      const [first] = await writer.commit(put(sampleRecord("a", "1")))
      const late = await data.storage()
      ends.push(() => late.close())
      const state = await late.open()
      expect(state).toMatchObject({ epoch: writer.state.epoch, records: [{ version: first?.version, record: { id: "1" } }] })
      expect(state.revision).toBeGreaterThanOrEqual(first?.revision ?? Number.POSITIVE_INFINITY)
      const [second] = await writer.commit(put(sampleRecord("a", "2")))
      const follower = new StorageFollower(late)
      ends.push(() => follower.stop())
      await follower.until("the second one", () => follower.revision >= (second?.revision ?? 0) && follower.changes.length > 0)
      expect(follower.changes.map(changedKey)).toEqual(["a/2"])
    })

    it("lets one server win, and shows the other one what stands", async () => {
      const { join } = await begin()
      const servers = [await join(), await join()]
      const records = Array.from({ length: 20 }, (_, port) => sampleRecord("a", "1", { port: 9000 + port }))
      const tries = records.map(async (record, index) => servers[index % 2]?.storage.commit([put(record)]))
      const results = (await Promise.all(tries)).flatMap((result) => result ?? [])
      const winners = results.filter((result) => result.ok)
      expect(winners).toHaveLength(1)
      const [winner] = winners
      for (const result of results) if (!result.ok) expect(result).toMatchObject({ why: "conflict", current: { version: accepted(winner).version } })
      const version = accepted(winner).version
      const both = await Promise.all([
        servers[0]?.storage.commit([remove({ service: "a", id: "1" }, version)]),
        servers[1]?.storage.commit([put(sampleRecord("a", "1", { keeper: "me" }), version)]),
      ])
      expect(both.flatMap((results) => results ?? []).filter((result) => result.ok)).toHaveLength(1)
    })

    it("keeps the order of one key whoever writes it", async () => {
      const { join } = await begin()
      const [a, b] = [await join(), await join()]
      const [first] = await a.commit(put(sampleRecord("a", "1")))
      const [second] = await b.commit(put(sampleRecord("a", "1", { port: 9001 }), first?.version ?? ""))
      await a.commit(remove({ service: "a", id: "1" }, second?.version ?? ""))
      const [last] = await b.commit(put(sampleRecord("a", "1", { port: 9002 })))
      for (const { follower } of [a, b]) {
        await follower.until("four changes", () => follower.changes.length === 4)
        expect(follower.of("a", "1")).toEqual([first?.version, second?.version, "delete", last?.version])
      }
    })

    it("tells another server of a thousand ops of one commit", async () => {
      const { join } = await begin()
      const [writer, reader] = [await join(), await join()]
      await writer.commit(
        ...Array.from({ length: 1000 }, (_, index) => put(sampleRecord(`s${index % 10}`, `i${index}`, { invented: "x".repeat(500) }))),
      )
      await reader.follower.until("a thousand changes", () => reader.follower.changes.length === 1000)
      expect(new Set(reader.follower.changes.map(changedKey)).size).toBe(1000)
      expect((await join()).state.records).toHaveLength(1000)
    })

    it("says again and again that everything was told while nothing happens", async () => {
      const { join } = await begin()
      const { follower } = await join()
      const begun = performance.now()
      await follower.until("three confirmations", () => follower.confirmations >= 3)
      expect(performance.now() - begun).toBeLessThan(8000)
      const known = follower.confirmations
      await follower.until("two more", () => follower.confirmations >= known + 2)
      expect(performance.now() - begun).toBeLessThan(12_000)
      expect(follower.changes).toEqual([])
    })

    it("yields everything anew to a server that fell too far behind, with why records went", async () => {
      const { data, join } = await begin()
      const [writer, reader] = [await join(), await join()]
      const [gone] = await writer.commit(put(sampleRecord("a", "gone")), put(sampleRecord("a", "stays")))
      await reader.follower.until("two changes", () => reader.follower.changes.length === 2)
      let last: Accepted | undefined
      await data.behind(reader.storage, async () => {
        await writer.commit(remove({ service: "a", id: "gone" }, gone?.version ?? "", "it went meanwhile"))
        ;[last] = await writer.commit(put(sampleRecord("a", "new")))
      })
      await reader.follower.until("a reset", () => reader.follower.resets.length > 0)
      const [reset] = reader.follower.resets
      expect([reset?.epoch, reset?.records.map(({ record }) => record.id).sort()]).toEqual([reader.state.epoch, ["new", "stays"]])
      expect(reset?.revision).toBeGreaterThanOrEqual(last?.revision ?? Number.POSITIVE_INFINITY)
      expect(reset?.removed).toMatchObject([{ key: { service: "a", id: "gone" }, cause: { why: "it went meanwhile" } }])
      const [after] = await writer.commit(put(sampleRecord("a", "after")))
      await reader.follower.until("what came after", () => reader.follower.of("a", "after").length === 1)
      expect(reader.follower.of("a", "after")).toEqual([after?.version])
    })

    it("yields another epoch once the store has lost its data", async () => {
      const { data, join } = await begin()
      const [writer, reader] = [await join(), await join()]
      await writer.commit(put(sampleRecord("a", "1")), put(sampleRecord("a", "2")))
      await data.lose()
      for (const { follower, state } of [writer, reader]) {
        await follower.until("a reset", () => follower.resets.length > 0)
        expect(follower.resets.at(-1)).toMatchObject({ records: [] })
        expect(follower.resets.at(-1)?.epoch).not.toBe(state.epoch)
      }
      expect(writer.follower.resets.at(-1)?.epoch).toBe(reader.follower.resets.at(-1)?.epoch)
      await writer.commit(put(sampleRecord("b", "1")))
      await reader.follower.until("what came after", () => reader.follower.of("b", "1").length === 1)
    })

    it("servers see each other come and go", async () => {
      const { join } = await begin()
      const a = await join("server-a")
      await a.follower.until("itself", () => a.follower.present.join() === "server-a")
      const b = await join("server-b")
      for (const { follower } of [a, b]) await follower.until("both", () => follower.present.join() === "server-a,server-b")
      expect(b.follower.servers.at(-1)).toContainEqual({ id: "server-a", url: "http://server-a:8008" })
      await b.follower.stop()
      await b.storage.close()
      await a.follower.until("itself alone", () => a.follower.present.join() === "server-a")
    })

    it("ends its iterations when it closes", async () => {
      const { join } = await begin()
      const { storage, follower } = await join("server-a")
      await follower.until("itself", () => follower.present.join() === "server-a")
      await storage.close()
      await follower.stop()
      await expect(storage.commit([put(sampleRecord("a", "1"))])).rejects.toMatchObject({ code: "storage_unavailable" })
    })
  })
}
