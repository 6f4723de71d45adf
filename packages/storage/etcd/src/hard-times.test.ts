import { randomUUID } from "node:crypto"
import type { InstanceRecord } from "@meshwork/contract"
import type { OpResult, StorageOp } from "@meshwork/registry-core"
import { sampleRecord, StorageFollower } from "@meshwork/registry-core/testing"
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest"
import { createEtcdStorage, etcdTree } from "./index.ts"
import { breakableLink, hasEtcd, type RealEtcd, startEtcd } from "./testing/index.ts"

const cause = { by: "test", why: "because", at: 1, what: "tested" }
const put = (record: InstanceRecord, ifVersion: string | null = null): StorageOp => ({ op: "put", record, ifVersion, cause })
const versionIn = (result: OpResult | undefined): string => {
  if (result?.ok !== true) throw new Error(`refused: ${JSON.stringify(result)}`)
  return result.version
}

async function join(hosts: readonly string[], tree: string, id?: string) {
  const said: string[] = []
  const storage = createEtcdStorage({ hosts, tree, log: (message) => said.push(message) })
  const state = await storage.open()
  const follower = new StorageFollower(storage, id === undefined ? undefined : { id, url: `http://${id}` })
  onTestFinished(async () => {
    await storage.close()
    await follower.stop()
  })
  return { storage, state, follower, said }
}

async function eventually<T>(attempt: () => Promise<T>, limitMs = 15_000): Promise<T> {
  for (const limit = performance.now() + limitMs; ; ) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > limit) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

describe.skipIf(!hasEtcd())("hard times for an etcd of one member", { timeout: 180_000 }, () => {
  let etcd: RealEtcd
  beforeAll(async () => {
    etcd = await startEtcd()
  })
  afterAll(() => etcd.remove())
  const newTree = () => `/test/${randomUUID()}`

  it("a lease that is lost is granted anew, and nobody notices that keys were gone", async () => {
    const tree = newTree()
    const [a, b] = [await join(etcd.endpoints, tree), await join(etcd.endpoints, tree)]
    const records = Array.from({ length: 300 }, (_, index) => sampleRecord("a", `i${index}`))
    const forever = sampleRecord("a", "forever", { ttlSeconds: 0 })
    await a.storage.commit([...records, forever].map((record) => put(record)))
    await b.follower.until("all of them", () => b.follower.changes.length === 301)
    await etcd.ctl("lease", "revoke", BigInt(etcdTree(tree).lease).toString(16))
    for (const { follower } of [a, b]) {
      await follower.until("all of them again", () => follower.changes.length >= 601)
      expect(follower.changes.filter(({ op }) => op === "delete")).toEqual([])
      expect(follower.changes.slice(301).every((change) => JSON.stringify(change.cause) === JSON.stringify(cause))).toBe(true)
    }
    expect((await join(etcd.endpoints, tree)).state.records).toHaveLength(301)
    const kept = Object.keys(await etcd.content(`${tree}/service/`))
    expect(kept).toHaveLength(301)
    expect(a.said).toContain("the etcd lease of the tree was lost with 300 instances, which are put back")
  })

  it("a lease that was lost while a server was cut off is no reason to remove anybody", async () => {
    const tree = newTree()
    const link = await breakableLink(etcd.endpoints[0] ?? "")
    onTestFinished(() => link.close())
    const a = await join([link.endpoint], tree)
    await a.storage.commit([put(sampleRecord("a", "1")), put(sampleRecord("a", "2"))])
    await a.follower.until("both", () => a.follower.changes.length === 2)
    link.state = "refused"
    await etcd.ctl("lease", "revoke", BigInt(etcdTree(tree).lease).toString(16))
    await etcd.compact()
    expect(await etcd.content(`${tree}/service/`)).toEqual({})
    link.state = "up"
    await a.follower.until("a reset", () => a.follower.resets.length === 1)
    expect(a.follower.resets[0]?.epoch).toBe(a.state.epoch)
    expect(a.follower.resets[0]?.records.map(({ record }) => record.id)).toEqual(["1", "2"])
  })

  it("an etcd that is killed and comes back loses nothing, and whoever is there stays there", async () => {
    const tree = newTree()
    const [a, b] = [await join(etcd.endpoints, tree, "server-a"), await join(etcd.endpoints, tree, "server-b")]
    await a.follower.until("both servers", () => a.follower.present.length === 2)
    const first = versionIn((await a.storage.commit([put(sampleRecord("a", "1"))]))[0])
    await etcd.members[0]?.kill()
    await expect(b.storage.commit([put(sampleRecord("a", "2"))])).rejects.toMatchObject({ code: "storage_unavailable" })
    const known = b.follower.confirmations
    await etcd.members[0]?.start()
    await b.follower.until("confirmations", () => b.follower.confirmations > known + 2)
    await b.storage.commit([put(sampleRecord("a", "1", { port: 9001 }), first), put(sampleRecord("a", "3"))])
    for (const { follower } of [a, b]) {
      await follower.until("the last one", () => follower.of("a", "3").length === 1)
      expect([follower.of("a", "1").length, follower.resets, follower.present]).toEqual([2, [], ["server-a", "server-b"]])
    }
  })

  it("an etcd that is frozen is noticed, and found again", async () => {
    const tree = newTree()
    const { storage, follower } = await join(etcd.endpoints, tree)
    await follower.until("a confirmation", () => follower.confirmations > 0)
    etcd.members[0]?.freeze()
    const begun = performance.now()
    await expect(storage.commit([put(sampleRecord("a", "1"))])).rejects.toMatchObject({ code: "storage_unavailable" })
    expect(performance.now() - begun).toBeLessThan(4500)
    const known = follower.confirmations
    await new Promise((resolve) => setTimeout(resolve, 3000))
    expect(follower.confirmations).toBe(known)
    etcd.members[0]?.thaw()
    await follower.until("confirmations", () => follower.confirmations > known + 1)
    await eventually(() => storage.commit([put(sampleRecord("a", "2"))]))
    await follower.until("what was put", () => follower.of("a", "2").length === 1)
  })

  it("a server that is cut off hears all of it in order once it is back, and is announced again", async () => {
    const tree = newTree()
    const link = await breakableLink(etcd.endpoints[0] ?? "")
    onTestFinished(() => link.close())
    const cut = await join([link.endpoint], tree, "server-a")
    const other = await join(etcd.endpoints, tree, "server-b")
    await other.follower.until("both servers", () => other.follower.present.length === 2)
    await cut.follower.until("a confirmation", () => cut.follower.confirmations > 0)
    link.state = "silent"
    const puts = Array.from({ length: 500 }, (_, index) => put(sampleRecord("a", `i${index}`)))
    await other.storage.commit(puts)
    await expect(cut.storage.commit([put(sampleRecord("a", "mine"))])).rejects.toMatchObject({ code: "storage_unavailable" })
    await other.follower.until("itself alone", () => other.follower.present.join() === "server-b")
    link.state = "up"
    await cut.follower.until("all of them", () => cut.follower.changes.length >= 500)
    expect(cut.follower.resets).toEqual([])
    expect(cut.follower.changes.filter((change) => change.cause.by === "test").length).toBeGreaterThanOrEqual(500)
    await other.follower.until("both servers", () => other.follower.present.length === 2)
    await cut.follower.until("both servers", () => cut.follower.present.length === 2)
  })

  it("a cut in the middle of a long catch-up loses nothing and doubles nothing", async () => {
    const tree = newTree()
    const link = await breakableLink(etcd.endpoints[0] ?? "")
    onTestFinished(() => link.close())
    const cut = await join([link.endpoint], tree)
    const other = await join(etcd.endpoints, tree)
    await cut.follower.until("a confirmation", () => cut.follower.confirmations > 0)
    link.state = "refused"
    let version: string | null = null
    const versions: string[] = []
    for (let turn = 0; turn < 1500; turn++) {
      version = versionIn((await other.storage.commit([put(sampleRecord("a", "1", { port: 1 + turn }), version)]))[0])
      versions.push(version)
    }
    for (let cuts = 0; cuts < 4; cuts++) {
      link.state = "up"
      await new Promise((resolve) => setTimeout(resolve, 250))
      link.state = "refused"
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    link.state = "up"
    await cut.follower.until("all versions", () => cut.follower.of("a", "1").at(-1) === versions.at(-1))
    expect(cut.follower.of("a", "1")).toEqual(versions)
  })

  it("a backup that is put back counts anew", async () => {
    const tree = newTree()
    const { storage, follower, state, said } = await join(etcd.endpoints, tree)
    await storage.commit([put(sampleRecord("a", "kept"))])
    await etcd.restoreBackupAfter(async () => {
      await storage.commit([put(sampleRecord("a", "later"))])
      await follower.until("both", () => follower.changes.length === 2)
    })
    await follower.until("a reset", () => follower.resets.length > 0)
    const [reset] = follower.resets
    expect(reset?.epoch).not.toBe(state.epoch)
    expect(reset?.records.map(({ record }) => record.id)).toEqual(["kept"])
    expect(said.join()).toMatch(/it was restored, and counts anew/)
  })
})

describe.skipIf(!hasEtcd())("hard times for an etcd of three members", { timeout: 120_000 }, () => {
  let etcd: RealEtcd
  beforeAll(async () => {
    etcd = await startEtcd(3)
  })
  afterAll(() => etcd.remove())

  it("the leader is killed: commits go on, and everyone hears all of them in one order", async () => {
    const tree = `/test/${randomUUID()}`
    const servers = [await join(etcd.endpoints, tree, "server-a"), await join([...etcd.endpoints].toReversed(), tree, "server-b")]
    const [a, b] = servers
    if (!a || !b) throw new Error("no servers")
    const acknowledged: string[] = []
    let going = true
    const writing = (async () => {
      for (let turn = 0; going; turn++) {
        const id = `i${turn}`
        const [result] = await a.storage.commit([put(sampleRecord("a", id))]).catch(() => [])
        if (result?.ok) acknowledged.push(id)
      }
    })()
    for (let kills = 0; kills < 2; kills++) {
      await a.follower.until("more changes", () => acknowledged.length > 50 * (kills + 1))
      const leader = await eventually(async () => {
        const found = await etcd.leader()
        if (found < 0) throw new Error("no leader")
        return found
      })
      await etcd.members[leader]?.kill()
      const then = acknowledged.length
      await a.follower.until("changes after the kill", () => acknowledged.length > then + 20)
      await etcd.members[leader]?.start()
    }
    going = false
    await writing
    const last = acknowledged.at(-1) ?? ""
    for (const { follower } of servers) await follower.until("the last one", () => follower.of("a", last).length > 0)
    // Whoever read everything anew was not told of each change: that comes first, with why.
    expect(servers.map(({ follower, said }) => [follower.resets.length, said.filter((text) => /read anew|restored/.test(text))])).toEqual([
      [0, []],
      [0, []],
    ])
    const order = (follower: StorageFollower) => follower.changes.map((change) => (change.op === "put" ? change.stored.version : change.revision))
    expect(order(b.follower)).toEqual(order(a.follower))
    const heard = new Set(a.follower.changes.map((change) => (change.op === "put" ? change.stored.record.id : "")))
    expect(acknowledged.filter((id) => !heard.has(id))).toEqual([])
    for (const { follower } of servers) {
      expect(follower.present).toEqual(["server-a", "server-b"])
    }
  })

  it("a member that lost the others is left for another one", async () => {
    const tree = `/test/${randomUUID()}`
    const { storage, follower } = await join(etcd.endpoints, tree)
    await follower.until("a confirmation", () => follower.confirmations > 0)
    // Each in turn, so that the one that is watched is among them; frozen members keep their connections.
    for (const [index, member] of etcd.members.entries()) {
      member.freeze()
      await eventually(() => storage.commit([put(sampleRecord("a", `i${index}`))]))
      await follower.until(`what was put while ${index} was frozen`, () => follower.of("a", `i${index}`).length === 1)
      const known = follower.confirmations
      await follower.until("confirmations", () => follower.confirmations > known + 1)
      member.thaw()
      await eventually(() => etcd.ctl("endpoint", "health"))
    }
    expect(follower.resets).toEqual([])
  })
})
