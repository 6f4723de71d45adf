import { randomUUID } from "node:crypto"
import type { IKeyValue } from "etcd3"
import { type EtcdConnection, reasonOf } from "./connection.ts"
import { prefixEnd, type EtcdTree } from "./tree.ts"
import { type TreeChanges, TreeView } from "./tree-view.ts"

/** Records can be large: a page of the largest is 256 MB. */
const pageKeys = 1000
const pageMs = 10_000
const maxTries = 5

/** A tree as it was in one revision. */
export interface TreeReading {
  view: TreeView
  revision: number
  orphans: TreeChanges["orphans"]
}

/** Reads a whole tree. Rejects as the connection does. */
export async function readTree(connection: EtcdConnection, tree: EtcdTree, now: () => number): Promise<TreeReading> {
  for (let tries = 1; ; tries++) {
    try {
      const first = await readRange(connection, prefixOfOwn(tree), undefined)
      const rest = await readRange(connection, tree.services, first.revision)
      const view = new TreeView(tree, now)
      const { orphans } = view.apply([...first.kvs, ...rest.kvs].map((kv) => ({ put: true, kv })))
      return { view, revision: Number(first.revision), orphans }
    } catch (error) {
      // Compacted between two pages: what was begun cannot be ended any more.
      if (tries === maxTries || !/compacted/.test(reasonOf(error))) throw error
    }
  }
}

/** The epoch of a tree: made where there is none, and made anew where it still is `outdated`. */
export async function ensureEpoch(connection: EtcdConnection, tree: EtcdTree, outdated?: string): Promise<string> {
  const key = Buffer.from(tree.epoch)
  return connection.call(async (client, options) => {
    const epoch = randomUUID()
    const put = [{ request_put: { key, value: Buffer.from(epoch) } }]
    const read = [{ request_range: { key } }]
    const absent = await client.kv.txn(
      { compare: [{ key, target: "Create", result: "Equal", create_revision: 0 }], success: put, failure: read },
      options,
    )
    if (absent.succeeded) return epoch
    const present = absent.responses[0]?.response_range.kvs[0]?.value.toString("utf8") ?? ""
    if (outdated === undefined || present !== outdated) return present
    const same = await client.kv.txn(
      { compare: [{ key, target: "Value", result: "Equal", value: Buffer.from(outdated) }], success: put, failure: read },
      options,
    )
    return same.succeeded ? epoch : (same.responses[0]?.response_range.kvs[0]?.value.toString("utf8") ?? "")
  })
}

async function readRange(connection: EtcdConnection, prefix: string, at: string | undefined): Promise<{ kvs: IKeyValue[]; revision: string }> {
  const range_end = Buffer.from(prefixEnd(prefix))
  const kvs: IKeyValue[] = []
  let revision = at
  for (let key = Buffer.from(prefix); ; ) {
    const pinned = revision === undefined ? {} : { revision }
    const page = await connection.call((client, options) => client.kv.range({ key, range_end, limit: pageKeys, ...pinned }, options), pageMs)
    revision ??= page.header.revision
    for (const kv of page.kvs) kvs.push(kv)
    const last = page.kvs.at(-1)
    if (!page.more || last === undefined) return { kvs, revision }
    key = Buffer.concat([last.key, Buffer.from([0])])
  }
}

/** Everything of ours but the locations lies under one prefix. */
function prefixOfOwn(tree: EtcdTree): string {
  return tree.epoch.slice(0, tree.epoch.lastIndexOf("/") + 1)
}
