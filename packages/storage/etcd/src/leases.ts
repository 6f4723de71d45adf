import { type Clock, sleep } from "@meshwork/contract"
import type { Etcd3 } from "etcd3"
import { type EtcdConnection, reasonOf } from "./connection.ts"
import type { EtcdTree } from "./tree.ts"

/** How long keys of a tree survive when no server keeps their lease alive, s. */
const treeTtlSeconds = 600
const tombstoneTtlSeconds = 900
/** Each lease for tombstones takes them for this long, so that the last one is kept for 10 minutes. */
const tombstoneTurnMs = 300_000

/** The leases of a tree: one that all of its leased keys hang on and every server keeps alive, and those that end tombstones. */
export class TreeLeases {
  readonly #connection: EtcdConnection
  readonly #tree: EtcdTree
  readonly #clock: Clock
  #tombstones: { id: string; until: number } | undefined

  constructor(connection: EtcdConnection, tree: EtcdTree, clock: Clock) {
    this.#connection = connection
    this.#tree = tree
    this.#clock = clock
  }

  /** Grants the tree's lease unless it is there, and marks when that was. */
  async ensure(): Promise<void> {
    const { lease, leaseMark } = this.#tree
    const key = Buffer.from(leaseMark)
    await this.#connection.call(async (client, options) => {
      await client.leaseClient.leaseGrant({ ID: lease, TTL: treeTtlSeconds }, options).catch((error: unknown) => {
        if (!/already exists/.test(reasonOf(error))) throw error
      })
      await client.kv.txn(
        {
          compare: [{ key, target: "Create", result: "Equal", create_revision: 0 }],
          success: [{ request_put: { key, value: Buffer.from("held by the discovery servers"), lease } }],
          failure: [],
        },
        options,
      )
    })
  }

  /** Restarts the tree's lease; it is granted anew where it was lost. */
  async renew(): Promise<void> {
    if (!(await this.restart(this.#tree.lease))) await this.ensure()
  }

  /** Restarts a lease; false when it is gone. */
  restart(id: string): Promise<boolean> {
    return this.#connection.call((client, { deadline }) => restartLease(client, id, this.#clock, deadline))
  }

  /** A lease of its own for `seconds`; its id. */
  async grant(seconds: number): Promise<string> {
    const { ID } = await this.#connection.call((client, options) => client.leaseClient.leaseGrant({ TTL: seconds }, options))
    return ID
  }

  /** Ends a lease and its keys. */
  async revoke(id: string): Promise<void> {
    await this.#connection.call((client, options) => client.leaseClient.leaseRevoke({ ID: id }, options))
  }

  /** The lease to put tombstones on now. */
  async forTombstones(): Promise<string> {
    const now = this.#clock.monotonic()
    if (this.#tombstones === undefined || this.#tombstones.until < now) {
      this.#tombstones = { id: await this.grant(tombstoneTtlSeconds), until: now + tombstoneTurnMs }
    }
    return this.#tombstones.id
  }

  /** Forgets the lease for tombstones, because etcd did. */
  forgetTombstones(): void {
    this.#tombstones = undefined
  }
}

/** etcd restarts leases over a stream only: it is opened for one question. */
async function restartLease(client: Etcd3, id: string, clock: Clock, deadline: number): Promise<boolean> {
  const stream = await client.leaseClient.leaseKeepAlive({ deadline })
  const stop = new AbortController()
  try {
    return await new Promise<boolean>((resolve, reject) => {
      stream.on("data", (answer) => resolve(Number(answer.TTL) > 0))
      stream.on("error", reject)
      stream.on("end", () => reject(new Error("etcd ended the stream")))
      stream.write({ ID: id })
      // The driver's own limit comes first; this one is for a stream that says nothing at all.
      void sleep(clock, deadline - clock.now() + 500, stop.signal).then(() => reject(new Error("etcd did not answer")))
    })
  } finally {
    stop.abort()
    stream.cancel()
  }
}
