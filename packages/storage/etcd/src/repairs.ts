import { type Clock, sleep } from "@meshwork/contract"
import type { IRequestOp } from "etcd3"
import type { EtcdConnection } from "./connection.ts"
import { writeInstance } from "./instance-codec.ts"
import type { TreeLeases } from "./leases.ts"
import type { EtcdTree } from "./tree.ts"
import type { TreeChanges } from "./tree-view.ts"

const perTransaction = 20
const tries = 20
const pauseMs = 500

interface Repair {
  connection: EtcdConnection
  tree: EtcdTree
  leases: TreeLeases
  clock: Clock
}

/**
 * Puts back what hung on the tree's lease when that was lost, unless somebody else did, or registered it anew. Every server does the same at once.
 * False when etcd did not take it.
 */
export async function putBack({ connection, tree, leases, clock }: Repair, lost: TreeChanges["lost"], signal: AbortSignal): Promise<boolean> {
  const requests = lost.map(({ key, record, cause }): IRequestOp => {
    const [location, description] = [Buffer.from(tree.location(key)), Buffer.from(tree.record(key))]
    const values = writeInstance(record, cause)
    const put = (name: Buffer, value: string): IRequestOp => ({ request_put: { key: name, value: Buffer.from(value), lease: tree.lease } })
    return {
      request_txn: {
        compare: [location, description].map((name) => ({ key: name, target: "Mod", result: "Equal", mod_revision: 0 })),
        success: [put(location, values.location), put(description, values.record)],
        failure: [],
      },
    }
  })
  for (let done = 0, failures = 0; done < requests.length; ) {
    try {
      await leases.ensure()
      await connection.call((client, options) =>
        client.kv.txn({ compare: [], success: requests.slice(done, done + perTransaction), failure: [] }, options),
      )
      done += perTransaction
    } catch {
      if (signal.aborted || ++failures === tries) return false
      await sleep(clock, pauseMs, signal)
    }
  }
  return true
}

/** Removes records whose location is gone, unless it came back. What fails is done when the tree is read the next time. */
export async function removeOrphans({ connection, tree }: Repair, orphans: TreeChanges["orphans"]): Promise<void> {
  for (const { key, mod } of orphans) {
    const [location, record] = [Buffer.from(tree.location(key)), Buffer.from(tree.record(key))]
    const compare = [
      { key: location, target: "Mod", result: "Equal", mod_revision: 0 } as const,
      { key: record, target: "Mod", result: "Equal", mod_revision: mod } as const,
    ]
    const success = [{ request_delete_range: { key: record } }]
    await connection.call((client, options) => client.kv.txn({ compare, success, failure: [] }, options)).catch(() => {})
  }
}
