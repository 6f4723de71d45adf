import { randomUUID } from "node:crypto"
import { sampleRecord, StorageFollower } from "@meshwork/registry-core/testing"
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest"
import { createEtcdStorage, etcdTree } from "./index.ts"
import { hasEtcd, type RealEtcd, startEtcd } from "./testing/index.ts"

const cause = { by: "test", why: "because", at: 1, what: "tested" }
const key = { service: "http", id: "web-1" }

describe.skipIf(!hasEtcd())("what shell scripts and Empusa's commands put into a tree", () => {
  let etcd: RealEtcd
  let tree: string
  beforeAll(async () => {
    etcd = await startEtcd()
  })
  afterAll(() => etcd.remove())
  beforeEach(() => {
    tree = `/test/${randomUUID()}`
  })

  async function open() {
    const storage = createEtcdStorage({ hosts: etcd.endpoints, tree })
    const state = await storage.open()
    const follower = new StorageFollower(storage)
    onTestFinished(async () => {
      await storage.close()
      await follower.stop()
    })
    const next = async (count: number) => {
      await follower.until(`change ${count}`, () => follower.changes.length >= count)
      const change = follower.changes[count - 1]
      if (change === undefined) throw new Error("no change")
      return change
    }
    return { storage, state, follower, next }
  }
  const location = (id = key.id) => `${tree}/service/${key.service}/${id}`
  const described = () => `${tree}/meshwork/record/${key.service}/${key.id}`
  const lease = async (seconds: number) => /lease ([0-9a-f]+) granted/.exec(await etcd.ctl("lease", "grant", String(seconds)))?.[1] ?? ""

  it("a location alone is an instance that never expires, the same for every server", async () => {
    await etcd.ctl("put", location(), "Web-1.example.org:80")
    const { state } = await open()
    expect(state.records).toMatchObject([
      { record: { ...key, host: "web-1.example.org", port: 80, scheme: "http", ttlSeconds: 0, origin: "etcd", health: { status: "unknown" } } },
    ])
    expect((await open()).state.records).toEqual(state.records)
  })

  it("one that comes, moves and goes is told of", async () => {
    const { next } = await open()
    await etcd.ctl("put", location(), "10.0.0.1:80")
    expect(await next(1)).toMatchObject({ op: "put", stored: { record: { port: 80 } }, cause: { by: "etcd", why: "its key was put into etcd" } })
    await etcd.ctl("put", location(), "10.0.0.1:81")
    expect(await next(2)).toMatchObject({ op: "put", stored: { record: { port: 81 } }, cause: { by: "etcd", why: "changed in etcd" } })
    await etcd.ctl("del", location())
    expect(await next(3)).toMatchObject({ op: "delete", key, cause: { by: "etcd", why: "its key was removed from etcd" } })
  })

  it("an override or a verdict gets a record beside it, and the location is never rewritten", async () => {
    await etcd.ctl("put", location(), "Web-1:80")
    const { storage, state } = await open()
    const [first] = state.records
    if (!first) throw new Error("no record")
    const record = { ...first.record, override: { weight: 7, by: "ann", at: 1 } }
    const [result] = await storage.commit([{ op: "put", record, ifVersion: first.version, cause }])
    expect(result?.ok).toBe(true)
    const content = await etcd.content(tree)
    expect(content[location()]).toBe("Web-1:80")
    expect(JSON.parse(content[described()] ?? "")).toEqual({ ...record, cause })
    expect((await open()).state.records[0]?.record).toEqual(record)
  })

  it("on a lease of its own it is ended by etcd, its record with it", async () => {
    const id = await lease(3)
    await etcd.ctl("put", location(), "10.0.0.1:80", "--lease", id)
    const { storage, state, next } = await open()
    const [first] = state.records
    if (!first) throw new Error("no record")
    expect(first.record.ttlSeconds).toBe(0)
    await storage.commit([{ op: "put", record: { ...first.record, state: "draining" }, ifVersion: first.version, cause }])
    expect((await next(1)).op).toBe("put")
    expect(await next(2)).toMatchObject({ op: "delete", key, cause: { by: "etcd", why: "its own etcd lease ended, or its key was removed" } })
    expect(Object.keys(await etcd.content(`${tree}/service`)).concat(Object.keys(await etcd.content(`${tree}/meshwork/record`)))).toEqual([])
  })

  it("a server keeps what is registered with a ttl over it, on the lease of the tree", async () => {
    await etcd.ctl("put", location(), "10.0.0.1:80", "--lease", await lease(600))
    const { storage, state, next } = await open()
    const record = sampleRecord(key.service, key.id, { host: "10.0.0.1", port: 80, keeper: "server-a" })
    const [result] = await storage.commit([{ op: "put", record, ifVersion: state.records[0]?.version ?? "", cause }])
    expect(result?.ok).toBe(true)
    expect(await next(1)).toMatchObject({ stored: { record: { ttlSeconds: 30, keeper: "server-a" } } })
    const { kvs } = JSON.parse(await etcd.ctl("get", location(), "--write-out", "json")) as { kvs: { lease: number }[] }
    // etcdctl prints the id as a number too large for JavaScript.
    expect(Math.abs((kvs[0]?.lease ?? 0) - Number(etcdTree(tree).lease))).toBeLessThan(1024)
  })

  it("where location and record disagree, the location counts", async () => {
    const { storage, next } = await open()
    await storage.commit([{ op: "put", record: sampleRecord(key.service, key.id, { weight: 9 }), ifVersion: null, cause }])
    await etcd.ctl("put", location(), "10.9.9.9:99", "--ignore-lease")
    expect(await next(2)).toMatchObject({ op: "put", stored: { record: { host: "10.9.9.9", port: 99, weight: 9, ttlSeconds: 30 } } })
    expect((await open()).state.records[0]?.record).toMatchObject({ host: "10.9.9.9", weight: 9 })
  })

  it("a location that goes takes its record along", async () => {
    const { storage, next } = await open()
    await storage.commit([{ op: "put", record: sampleRecord(key.service, key.id), ifVersion: null, cause }])
    await etcd.ctl("del", location())
    expect((await next(2)).op).toBe("delete")
    for (const limit = performance.now() + 5000; described() in (await etcd.content(tree)); ) {
      if (performance.now() > limit) throw new Error("the record stayed")
    }
  })

  it("a record that was left behind does not hinder a new registration", async () => {
    await etcd.ctl("put", described(), "left behind")
    await etcd.ctl("put", `${tree}/meshwork/record/http/web-2`, "left behind")
    const { storage, state } = await open()
    expect([state.records, state.problems]).toEqual([[], []])
    const [result] = await storage.commit([{ op: "put", record: sampleRecord(key.service, key.id), ifVersion: null, cause }])
    expect(result?.ok).toBe(true)
  })

  it.each([
    ["no host:port", "nonsense", undefined, /^its location "nonsense" is not in HOST:PORT format$/],
    ["a record that is no JSON", "10.0.0.1:80", "{", /^its record is not a JSON object$/],
    ["a record that is none", "10.0.0.1:80", '{"host":1}', /^its record is not valid: /],
  ])("%s is named as a problem and skipped, others are served, and registering it again replaces it", async (_title, where, record, message) => {
    await etcd.ctl("put", location(), where)
    await etcd.ctl("put", location("fine"), "10.0.0.2:80")
    if (record !== undefined) await etcd.ctl("put", described(), record)
    const { storage, state, follower } = await open()
    expect(state.problems).toEqual([{ key: "http/web-1", message: expect.stringMatching(message) as string }])
    expect(state.records.map((stored) => stored.record.id)).toEqual(["fine"])
    const [result] = await storage.commit([{ op: "put", record: sampleRecord(key.service, key.id), ifVersion: null, cause }])
    expect(result?.ok).toBe(true)
    await follower.until("the new one", () => follower.of(key.service, key.id).length === 1)
    const after = (await open()).state
    expect([after.problems, after.records.map((stored) => stored.record.id).toSorted()]).toEqual([[], ["fine", "web-1"]])
  })

  it("a problem that comes later is told of, and its end too", async () => {
    const { storage, follower } = await open()
    const stop = new AbortController()
    const second = createEtcdStorage({ hosts: etcd.endpoints, tree })
    await second.open()
    onTestFinished(() => second.close())
    const problems: number[] = []
    const reading = (async () => {
      for await (const news of second.changes(stop.signal)) if (!("reset" in news) && news.problems) problems.push(news.problems.length)
    })()
    await etcd.ctl("put", location(), "nonsense")
    await follower.until("a confirmation", () => follower.confirmations > 3)
    await etcd.ctl("put", location(), "10.0.0.1:80")
    await follower.until("the change", () => follower.changes.length === 1)
    stop.abort()
    await reading
    expect(problems).toEqual([1, 0])
    await storage.close()
  })

  it("leaves other keys alone, and other trees", async () => {
    const others = {
      [`${tree}x/service/a/1`]: "10.0.0.1:1",
      [`${tree}/switch/a`]: "on",
      [`${tree}/service/a/b/c`]: "10.0.0.1:1",
      [`${tree}/mine`]: "10.0.0.1:1",
    }
    for (const [name, value] of Object.entries(others)) await etcd.ctl("put", name, value)
    const { storage, state } = await open()
    expect([state.records, state.problems]).toEqual([[], []])
    const [result] = await storage.commit([{ op: "put", record: sampleRecord("a", "1"), ifVersion: null, cause }])
    await storage.commit([{ op: "delete", key: { service: "a", id: "1" }, ifVersion: result?.ok ? result.version : "", cause }])
    expect(await etcd.content(tree)).toMatchObject(others)
  })

  it("the command line's own registrations, drains and removals are understood", async () => {
    const { storage, next } = await open()
    await etcd.ctl("put", location(), "10.0.0.1:80")
    const first = await next(1)
    if (first.op !== "put") throw new Error("no put")
    // As the commands write it: the record with an override, and whatever was in it before.
    await storage.commit([{ op: "put", record: first.stored.record, ifVersion: first.stored.version, cause }])
    await next(2)
    const written = JSON.parse((await etcd.content(tree))[described()] ?? "") as object
    await etcd.ctl("put", described(), JSON.stringify({ ...written, override: { state: "draining", by: "bob", at: 2 } }))
    expect(await next(3)).toMatchObject({ stored: { record: { override: { by: "bob" } } }, cause: { by: "etcd", why: "changed in etcd" } })
  })
})
