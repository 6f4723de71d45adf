import { type Clock, MeshError, sleep } from "@meshwork/contract"
import type { ServerInfo } from "@meshwork/registry-core"
import type { EtcdConnection } from "./connection.ts"
import type { TreeLeases } from "./leases.ts"
import type { EtcdTree } from "./tree.ts"

/** How long a server counts as there after it was last heard, s. */
const ttlSeconds = 10
const everyMs = 3000

export interface AnnouncementOptions {
  connection: EtcdConnection
  tree: EtcdTree
  leases: TreeLeases
  clock: Clock
  /** Whether the tree shows the announcement. */
  isSeen: (id: string) => boolean
  log: (message: string) => void
}

/** Keeps a server announced until the signal aborts, and then withdraws it: a key on a lease of its own, renewed every 3 s. Never rejects. */
export async function announce(options: AnnouncementOptions, self: ServerInfo, signal: AbortSignal): Promise<void> {
  const { connection, tree, leases, clock, isSeen, log } = options
  const key = Buffer.from(`${tree.servers}${self.id}`)
  const value = Buffer.from(JSON.stringify(self))
  let lease: string | undefined
  let failed = false
  for (let first = true; !signal.aborted; first = false) {
    try {
      if (lease !== undefined && !(await leases.restart(lease))) lease = undefined
      if (lease === undefined || (!first && !isSeen(self.id))) {
        const id = lease ?? (await leases.grant(ttlSeconds))
        await connection.call((client, callOptions) => client.kv.put({ key, value, lease: id }, callOptions))
        lease = id
      }
      failed = false
    } catch (error) {
      if (!failed) log(`this server could not be announced in etcd: ${MeshError.from(error).message}`)
      failed = true
    }
    await sleep(clock, everyMs, signal)
  }
  if (lease !== undefined) await leases.revoke(lease).catch(() => {})
}
