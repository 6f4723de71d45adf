import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, describe } from "vitest"
import { describeStorage } from "@meshwork/registry-core/testing"
import { createEtcdStorage } from "./index.ts"
import { type BreakableLink, breakableLink, hasEtcd, type RealEtcd, startEtcd } from "./testing/index.ts"

describe.skipIf(!hasEtcd())("on a real etcd", () => {
  let etcd: RealEtcd
  beforeAll(async () => {
    etcd = await startEtcd()
  })
  afterAll(() => etcd.remove())

  describeStorage("etcd", {
    dataSet: () => {
      const options = { hosts: etcd.endpoints, tree: `/test/${randomUUID()}` }
      return Promise.resolve({
        storage: () => createEtcdStorage(options),
        writer: { module: new URL("./index.ts", import.meta.url), create: "createEtcdStorage", options },
        dispose: () => Promise.resolve(),
      })
    },
    shared: async () => {
      const tree = `/test/${randomUUID()}`
      const links = new Map<object, BreakableLink>()
      return {
        storage: async () => {
          const link = await breakableLink(etcd.endpoints[0] ?? "")
          const storage = createEtcdStorage({ hosts: [link.endpoint], tree })
          links.set(storage, link)
          return storage
        },
        behind: async (storage, meanwhile) => {
          const link = links.get(storage)
          if (link === undefined) throw new Error("no link")
          link.state = "refused"
          await meanwhile()
          await etcd.compact()
          link.state = "up"
        },
        lose: () => etcd.wipe(),
        dispose: async () => {
          for (const link of links.values()) await link.close()
        },
      }
    },
  })
})
