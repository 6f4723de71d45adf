import { randomUUID } from "node:crypto"
import { systemClock } from "@meshwork/contract"
import { sampleRecord } from "@meshwork/registry-core/testing"
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest"
import { EtcdConnection } from "./connection.ts"
import { EtcdFeed } from "./feed.ts"
import { createEtcdStorage, etcdTree } from "./index.ts"
import { TreeLeases } from "./leases.ts"
import { readTree } from "./read-tree.ts"
import { hasEtcd, type RealEtcd, startEtcd } from "./testing/index.ts"

/** Answers of calls take their time on the way back, as from a member that is busy; what is watched does not. */
class SlowConnection extends EtcdConnection {
  override async call<T>(...args: Parameters<EtcdConnection["call"]>): Promise<T> {
    const answer = await super.call(...args)
    await new Promise((resolve) => setTimeout(resolve, 300))
    return answer as T
  }
}

describe.skipIf(!hasEtcd())("answers of etcd that come late", () => {
  let etcd: RealEtcd
  beforeAll(async () => {
    etcd = await startEtcd()
  })
  afterAll(() => etcd.remove())

  it("are no sign of a store that was put back: every change is told, and nothing is read anew", async () => {
    const treeName = `/test/${randomUUID()}`
    const tree = etcdTree(treeName)
    const storage = createEtcdStorage({ hosts: etcd.endpoints, tree: treeName })
    await storage.open()
    const connection = new SlowConnection({ hosts: etcd.endpoints }, systemClock)
    const leases = new TreeLeases(connection, tree, systemClock)
    const reading = await readTree(connection, tree, () => Date.now())
    const said: string[] = []
    const log = (message: string) => said.push(message)
    const feed = new EtcdFeed({ connection, tree, leases, clock: systemClock, reading, serversChanged: () => {}, log })
    const stop = new AbortController()
    const heard: string[] = []
    const following = (async () => {
      for await (const news of feed.follow(stop.signal)) {
        if ("reset" in news) heard.push("reset")
        else heard.push(...news.changes.map((change) => (change.op === "put" ? change.stored.record.id : "delete")))
      }
    })()
    onTestFinished(async () => {
      stop.abort()
      await following
      connection.close()
      await storage.close()
    })
    const ids = Array.from({ length: 80 }, (_, index) => `i${index}`)
    for (const id of ids) {
      await storage.commit([
        { op: "put", record: sampleRecord("a", id), ifVersion: null, cause: { by: "test", why: "because", at: 1, what: "tested" } },
      ])
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    await expect.poll(() => heard.length).toBeGreaterThanOrEqual(80)
    expect([heard, said]).toEqual([ids, []])
  })
})
