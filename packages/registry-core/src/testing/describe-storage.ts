import type { InstanceKey, InstanceRecord } from "@meshwork/contract"
import { afterEach, describe, expect, it, onTestFinished } from "vitest"
import type { StorageDeviations } from "../storage-deviations.ts"
import type { Cause, OpResult, RegistryStorage, StorageOp, StoredRecord } from "../storage-port.ts"
import { describeSharedStorage, type SharedDataSet } from "./describe-shared-storage.ts"
import { killDuringCommits, type WriterModule } from "./kill-during-commits.ts"
import { sampleRecord } from "./sample-record.ts"

export interface DescribeStorageOptions {
  /** An empty data set; each storage made from it opens the same data. `writer` lets a process of its own write it, to be killed. */
  dataSet(): Promise<{ storage(): RegistryStorage; writer?: WriterModule; dispose(): Promise<void> }>
  /** An empty data set of a storage that several servers use at once; what they may rely on is tried too. */
  shared?: () => Promise<SharedDataSet>
  deviations?: StorageDeviations
}

type Accepted = Extract<OpResult, { ok: true }>

const cause: Cause = { by: "test", why: "because", at: 1 }
const put = (record: InstanceRecord, ifVersion: string | null = null): StorageOp => ({ op: "put", record, ifVersion, cause })
const remove = (key: InstanceKey, ifVersion: string): StorageOp => ({ op: "delete", key, ifVersion, cause })

function accepted(result: OpResult | undefined): Accepted {
  expect(result).toMatchObject({ ok: true })
  return result as Accepted
}

/** The conformance suite of `RegistryStorage`. An adapter's test file calls it and is done. */
export function describeStorage(name: string, options: DescribeStorageOptions): void {
  const { deviations = {}, shared } = options
  if (shared) describeSharedStorage(name, { dataSet: shared })
  describe(`storage ${name}`, () => {
    const opened: RegistryStorage[] = []
    afterEach(async () => {
      for (const storage of opened.splice(0)) await storage.close()
    })

    async function dataSet() {
      const data = await options.dataSet()
      onTestFinished(() => data.dispose())
      return async () => {
        const storage = data.storage()
        opened.push(storage)
        return { storage, state: await storage.open() }
      }
    }

    async function opening() {
      return (await dataSet())()
    }

    it("begins empty", async () => {
      const { state } = await opening()
      expect(state).toMatchObject({ ...(shared ? {} : { revision: 0 }), records: [], problems: [] })
      expect(state.epoch).not.toBe("")
    })

    it("puts what must not exist once", async () => {
      const { storage } = await opening()
      const [first] = await storage.commit([put(sampleRecord("a", "1"))])
      const { version, revision } = accepted(first)
      const [second] = await storage.commit([put(sampleRecord("a", "1", { port: 9001 }))])
      expect(second).toMatchObject({ ok: false, why: "conflict", current: { version, revision, record: { port: 9000 } } })
    })

    it("replaces only the version that is asked for", async () => {
      const { storage } = await opening()
      const first = accepted((await storage.commit([put(sampleRecord("a", "1"))]))[0])
      const second = accepted((await storage.commit([put(sampleRecord("a", "1", { port: 9001 }), first.version)]))[0])
      expect(second.version).not.toBe(first.version)
      expect(second.revision).toBeGreaterThan(first.revision)
      const [stale] = await storage.commit([put(sampleRecord("a", "1", { port: 9002 }), first.version)])
      expect(stale).toMatchObject({ ok: false, why: "conflict", current: { version: second.version, record: { port: 9001 } } })
    })

    it("says when what is to be changed is missing", async () => {
      const { storage } = await opening()
      const results = await storage.commit([put(sampleRecord("a", "1"), "7"), remove({ service: "a", id: "1" }, "7")])
      expect(results).toEqual([
        { ok: false, why: "missing", current: null },
        { ok: false, why: "missing", current: null },
      ])
    })

    it("deletes only the version that is asked for, and lets the key be taken again", async () => {
      const { storage } = await opening()
      const key = { service: "a", id: "1" }
      const first = accepted((await storage.commit([put(sampleRecord("a", "1"))]))[0])
      const second = accepted((await storage.commit([put(sampleRecord("a", "1", { port: 9001 }), first.version)]))[0])
      expect((await storage.commit([remove(key, first.version)]))[0]).toMatchObject({
        ok: false,
        why: "conflict",
        current: { version: second.version },
      })
      const gone = accepted((await storage.commit([remove(key, second.version)]))[0])
      expect(gone.revision).toBeGreaterThan(second.revision)
      const again = accepted((await storage.commit([put(sampleRecord("a", "1"))]))[0])
      expect([again.version === first.version, again.version === second.version]).toEqual([false, false])
    })

    it("lets one of many concurrent puts of a key win", async () => {
      const { storage } = await opening()
      const commits = Array.from({ length: 20 }, (_, port) => storage.commit([put(sampleRecord("a", "1", { port: 9000 + port }))]))
      const results = (await Promise.all(commits)).flat()
      expect(results.filter((result) => result.ok)).toHaveLength(1)
    })

    it("judges the ops of one commit in order and apart from each other", async () => {
      const { storage } = await opening()
      const first = accepted((await storage.commit([put(sampleRecord("a", "1"))]))[0])
      const results = await storage.commit([
        put(sampleRecord("a", "1", { port: 9001 }), first.version),
        remove({ service: "a", id: "1" }, first.version),
        put(sampleRecord("a", "2")),
        put(sampleRecord("a", "2")),
      ])
      expect(results.map((result) => result.ok)).toEqual([true, false, true, false])
    })

    it("deletes a key and puts it anew in one commit", async () => {
      const { storage } = await opening()
      const key = { service: "a", id: "1" }
      const { version, revision } = accepted((await storage.commit([put(sampleRecord("a", "1"))]))[0])
      const results = await storage.commit([remove(key, version), put(sampleRecord("a", "1", { port: 9001 }))])
      expect(results.map((result) => result.ok)).toEqual([true, true])
      expect(accepted(results[1]).revision).toBeGreaterThan(revision)
      const [conflict] = await storage.commit([put(sampleRecord("a", "1"))])
      expect(conflict).toMatchObject({ ok: false, current: { version: accepted(results[1]).version, record: { port: 9001 } } })
    })

    it("keeps a record of 200 KB", async () => {
      const { storage } = await opening()
      const record = sampleRecord("a", "1", { invented: "ü".repeat(100_000) })
      accepted((await storage.commit([put(record)]))[0])
      const [conflict] = await storage.commit([put(record)])
      expect(conflict?.ok === false ? conflict.current?.record : undefined).toEqual(record)
    })

    it("takes a thousand ops in one commit", async () => {
      const open = await dataSet()
      const { storage } = await open()
      const results = await storage.commit(Array.from({ length: 1000 }, (_, index) => put(sampleRecord(`service ${index % 10}`, `id-${index}`))))
      const revisions = results.map((result) => accepted(result).revision)
      expect(revisions.every((revision, index) => index === 0 || revision >= (revisions[index - 1] ?? 0))).toBe(true)
    })

    it("keeps fields it does not know, and text of any script", async () => {
      const { storage } = await opening()
      const record = sampleRecord("Order Service", "[::1]:80", { later: { deep: [1, null] }, tags: { "schlüssel/ü": "値 \u2028 😀 '\"" } })
      accepted((await storage.commit([put(record)]))[0])
      const [conflict] = await storage.commit([put(record)])
      expect(conflict).toMatchObject({ ok: false, current: { record } })
      expect(conflict?.ok === false ? conflict.current?.record : undefined).toEqual(record)
    })

    it("keeps a record of a later format as it is", async () => {
      const { storage } = await opening()
      const record = sampleRecord("a", "1", { format: 99, scheme: "http", invented: true })
      accepted((await storage.commit([put(record)]))[0])
      const [conflict] = await storage.commit([put(record)])
      expect(conflict?.ok === false ? conflict.current?.record : undefined).toEqual(record)
    })

    // Of a shared storage only the server that took a heartbeat could ever ask what it says, so it keeps that to itself.
    if (!shared)
      it("a touch creates nothing and moves neither version nor revision", async () => {
        const { storage } = await opening()
        const key = { service: "a", id: "1" }
        expect((await storage.commit([{ op: "touch", key, renewedAt: 5 }]))[0]).toEqual({ ok: false, why: "missing", current: null })
        const first = accepted((await storage.commit([put(sampleRecord("a", "1"))]))[0])
        const touched = accepted((await storage.commit([{ op: "touch", key, renewedAt: 5 }]))[0])
        expect(touched).toEqual(first)
        accepted((await storage.commit([put(sampleRecord("a", "1", { port: 9001 }), first.version)]))[0])
      })

    it("an empty commit is accepted", async () => {
      const { storage } = await opening()
      expect(await storage.commit([])).toEqual([])
    })

    it("closes twice, and without having been opened", async () => {
      const data = await options.dataSet()
      onTestFinished(() => data.dispose())
      const never = data.storage()
      await never.close()
      const storage = data.storage()
      await storage.open()
      await storage.close()
      await storage.close()
      await expect(storage.commit([put(sampleRecord("a", "1"))])).rejects.toMatchObject({ code: "storage_unavailable" })
    })

    it(
      deviations.volatile === undefined
        ? "a restart finds everything that was acknowledged"
        : `a restart begins empty with a new epoch: ${deviations.volatile}`,
      async () => {
        const open = await dataSet()
        const first = await open()
        const kept = sampleRecord("a", "1", { later: true, format: 99 })
        const before = Date.now()
        const renewed = shared ? {} : { renewedAt: 1234 }
        const { version, revision } = accepted((await first.storage.commit([put(kept), put(sampleRecord("a", "2"))]))[0])
        const second = (
          await first.storage.commit([...(shared ? [] : [{ op: "touch", key: kept, renewedAt: 1234 } as const]), put(sampleRecord("a", "3"))])
        ).at(-1)
        const third = accepted(second)
        const last = accepted((await first.storage.commit([remove({ service: "a", id: "3" }, third.version)]))[0])
        await first.storage.close()
        const { state } = await open()
        if (deviations.volatile !== undefined) {
          expect(state).toMatchObject({ records: [], revision: 0, lastAliveAt: null })
          expect(state.epoch).not.toBe(first.state.epoch)
          return
        }
        const byId = (a: StoredRecord, b: StoredRecord) => (a.record.id < b.record.id ? -1 : 1)
        expect([state.epoch, state.problems]).toEqual([first.state.epoch, []])
        expect(state.records.sort(byId)).toMatchObject([{ record: kept, version, revision, ...renewed }, { record: { id: "2" } }])
        if (shared) {
          // Others count too, and instants of other machines say nothing here.
          expect(state.revision).toBeGreaterThanOrEqual(last.revision)
          expect(state.lastAliveAt).toBeNull()
        } else {
          expect(state.revision).toBe(last.revision)
          expect(state.lastAliveAt).toBeGreaterThanOrEqual(before - 1000)
        }
      },
    )

    const unkillable = deviations.volatile ?? deviations.unkillable
    it(unkillable === undefined
      ? "kill -9 in the middle of commits loses nothing that was acknowledged"
      : `is not killed while it commits: ${unkillable}`, { timeout: 60_000 }, async () => {
      const data = await options.dataSet()
      onTestFinished(() => data.dispose())
      expect(data.writer === undefined).toBe(unkillable !== undefined)
      if (data.writer === undefined) return
      const { acknowledged, findings } = await killDuringCommits(data.writer, () => data.storage(), 5)
      expect(findings.map(({ missing, problems }) => [missing, problems])).toEqual(findings.map(() => [[], 0]))
      // The counter says exactly how many puts were ever applied: no batch is torn.
      if (!shared) expect(findings.map((finding) => finding.found)).toEqual(findings.map((finding) => finding.revision))
      expect(acknowledged.length).toBeGreaterThan(500)
    })
  })
}
