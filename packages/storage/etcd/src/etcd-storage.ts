import { type Clock, MeshError, sleep, systemClock } from "@meshwork/contract"
import type { OpResult, ServerInfo, SharedStorage, StorageNews, StorageOp, StoredState } from "@meshwork/registry-core"
import { announce } from "./announcement.ts"
import { type EtcdAccess, EtcdConnection, reasonOf } from "./connection.ts"
import { EtcdFeed } from "./feed.ts"
import { TreeLeases } from "./leases.ts"
import { ensureEpoch, readTree } from "./read-tree.ts"
import { removeOrphans } from "./repairs.ts"
import { answerOf, keyOf, portionsOf, requestOf, type Step, stepsOf } from "./transactions.ts"
import { type EtcdTree, etcdTree } from "./tree.ts"

const renewEveryMs = 60_000
const maxTries = 4

export interface EtcdStorageOptions extends EtcdAccess {
  /** Prefix of all keys. Default none. */
  tree?: string
  clock?: Clock
  /** A sentence about what happened to etcd or the tree. Default: nothing is said. */
  log?: (message: string) => void
}

/** A storage on etcd, for several discovery servers over one tree of keys; Empusa's commands read and write the same tree. */
export function createEtcdStorage(options: EtcdStorageOptions): SharedStorage {
  return new EtcdStorage(options)
}

/** What there is while the storage is open. */
interface Opened {
  connection: EtcdConnection
  leases: TreeLeases
  feed: EtcdFeed
  stop: AbortController
  /** Ended by closing. */
  loops: Set<Promise<unknown>>
}

class EtcdStorage implements SharedStorage {
  readonly name = "etcd"
  readonly #options: EtcdStorageOptions
  readonly #clock: Clock
  readonly #tree: EtcdTree
  readonly #log: (message: string) => void
  readonly #serversListeners = new Set<() => void>()
  #opened: Opened | undefined

  constructor(options: EtcdStorageOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#tree = etcdTree(options.tree ?? "")
    this.#log = options.log ?? (() => {})
  }

  async open(): Promise<StoredState> {
    await this.close()
    const connection = new EtcdConnection(this.#options, this.#clock)
    const leases = new TreeLeases(connection, this.#tree, this.#clock)
    const common = { connection, tree: this.#tree, leases, clock: this.#clock }
    try {
      await ensureEpoch(connection, this.#tree)
      await leases.ensure()
      const reading = await readTree(connection, this.#tree, () => this.#clock.now())
      const serversChanged = () => {
        for (const listener of this.#serversListeners) listener()
      }
      const feed = new EtcdFeed({ ...common, reading, serversChanged, log: this.#log })
      const opened: Opened = { connection, leases, feed, stop: new AbortController(), loops: new Set() }
      this.#opened = opened
      this.#run(opened, this.#keepLease(opened))
      this.#run(opened, removeOrphans(common, reading.orphans))
      return reading.view.state(reading.revision)
    } catch (error) {
      connection.close()
      throw fault("cannot be used", error)
    }
  }

  async commit(ops: readonly StorageOp[]): Promise<OpResult[]> {
    const { feed, connection, leases } = this.#use()
    const results: OpResult[] = ops.map(() => ({ ok: false, why: "missing", current: null }))
    try {
      for (const portion of portionsOf(stepsOf(ops))) await this.#apply(portion, results, { feed, connection, leases })
    } catch (error) {
      throw fault("did not take a change", error)
    }
    return results
  }

  async *changes(signal: AbortSignal): AsyncGenerator<StorageNews> {
    const { feed, stop } = this.#use()
    yield* feed.follow(AbortSignal.any([signal, stop.signal]))
  }

  async *servers(self: ServerInfo, signal: AbortSignal): AsyncGenerator<ServerInfo[]> {
    const opened = this.#use()
    const { feed, connection, leases } = opened
    const over = AbortSignal.any([signal, opened.stop.signal])
    const isSeen = (id: string) => feed.view.servers.some((server) => server.id === id)
    const announcing = announce({ connection, tree: this.#tree, leases, clock: this.#clock, isSeen, log: this.#log }, self, over)
    this.#run(opened, announcing)
    let wake = () => {}
    const listener = () => wake()
    this.#serversListeners.add(listener)
    over.addEventListener("abort", listener)
    try {
      for (let told = ""; !over.aborted; ) {
        const { servers } = feed.view
        const text = JSON.stringify(servers)
        if (text !== told) {
          told = text
          yield servers
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
    } finally {
      this.#serversListeners.delete(listener)
    }
    await announcing
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    if (opened === undefined) return
    opened.stop.abort()
    await Promise.allSettled(opened.loops)
    opened.connection.close()
  }

  #use(): Opened {
    if (this.#opened === undefined) throw new MeshError("storage_unavailable", "the etcd storage is closed")
    return this.#opened
  }

  #run(opened: Opened, loop: Promise<unknown>): void {
    opened.loops.add(loop)
    void loop.finally(() => opened.loops.delete(loop))
  }

  async #keepLease({ leases, stop }: Opened): Promise<void> {
    for (;;) {
      await sleep(this.#clock, renewEveryMs, stop.signal)
      if (stop.signal.aborted) return
      await leases.renew().catch((error: unknown) => this.#log(`the lease of the tree could not be renewed: ${reasonOf(error)}`))
    }
  }

  async #apply(portion: readonly Step[], results: OpResult[], opened: Pick<Opened, "feed" | "connection" | "leases">, tries = 0): Promise<void> {
    const { feed, connection, leases } = opened
    const lease = portion.some(({ op }) => op.op === "delete") ? await leases.forTombstones() : "0"
    const requests = portion.map((step) => requestOf(step, feed.view.keys(keyOf(step)), this.#tree, lease))
    let again = false
    let answer
    try {
      answer = await connection.call((client, options, repeated) => {
        again ||= repeated
        return client.kv.txn({ compare: [], success: requests.map(({ txn }) => ({ request_txn: txn })), failure: [] }, options)
      })
    } catch (error) {
      if (!/lease not found/.test(reasonOf(error)) || tries === maxTries) throw error
      // A lease is gone, and all steps failed because of it: each for itself, with leases that are there.
      leases.forgetTombstones()
      await leases.ensure()
      for (const step of portion) await this.#apply([step], results, opened, tries + 1)
      return
    }
    const revision = Number(answer.header.revision)
    for (const [index, step] of portion.entries()) {
      const request = requests[index]
      if (request === undefined) continue
      const read = answerOf(step, request, answer.responses[index], revision, this.#tree, again)
      if ("result" in read) results[step.index] = read.result
      else if (tries < maxTries) await this.#apply([{ ...step, expected: read.debris }], results, opened, tries + 1)
    }
  }
}

function fault(what: string, error: unknown): MeshError {
  if (MeshError.is(error)) return error
  const reason = reasonOf(error)
  const refused = /permission denied|auth|invalid user|certificate/i.test(reason)
  return new MeshError(refused ? "invalid_config" : "storage_unavailable", `etcd ${what}: ${reason}`, { cause: error })
}
