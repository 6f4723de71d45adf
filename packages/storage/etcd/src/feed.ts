import { type Clock, MeshError, sleep } from "@meshwork/contract"
import type { StorageChange, StorageNews, StoredState } from "@meshwork/registry-core"
import type { IWatchResponse } from "etcd3"
import type { EtcdConnection } from "./connection.ts"
import type { TreeLeases } from "./leases.ts"
import { Progress } from "./progress.ts"
import { putBack, removeOrphans } from "./repairs.ts"
import { ensureEpoch, readTree, type TreeReading } from "./read-tree.ts"
import type { EtcdTree } from "./tree.ts"
import type { KeyEvent, TreeChanges, TreeView } from "./tree-view.ts"
import { type WatchItem, WatchStream } from "./watch-stream.ts"

const lookEveryMs = 500
const lookLimitMs = 2000
/** How long a watch may say nothing, or lag behind the store, before another host is tried, ms. */
const patienceMs = 3000
const pauseMs = 200
/** Tombstones live this long: whoever was away for longer cannot tell what was removed from what was lost. */
const tombstonesMs = 600_000
/** How old a position must be before a new watch begins there, ms. */
const settleMs = 5000

/** What the reader of a watch looks at by itself: where the store is. */
type Look = { tick: true } | { store: { revision: number; epoch: string | undefined; at: number; known: number } } | { failed: string }

interface Watching {
  /** When etcd last said anything, and when it was last known to have told everything. */
  heardAt: number
  levelAt: number
  looking: boolean
  /** What had been told before this watch began. */
  known: number
}

export interface FeedOptions {
  connection: EtcdConnection
  tree: EtcdTree
  leases: TreeLeases
  clock: Clock
  reading: TreeReading
  /** Called when a server came or went. */
  serversChanged: () => void
  /** A sentence about what happened to the tree. */
  log: (message: string) => void
}

/** The changes of a tree, in the order of its revisions. */
export class EtcdFeed {
  readonly #options: FeedOptions
  #view: TreeView
  #progress: Progress
  #host = 0
  /** Where a new watch begins. */
  #settled: { revision: number; next: number; at: number }
  /** When the store was last known to have told everything. */
  #confirmedAt: number
  #anew = false
  /** Everything up to here has been told. */
  #position: number
  /** What hung on the tree's lease and could not be put back yet. */
  #unrestored: TreeChanges["lost"] = []

  constructor(options: FeedOptions) {
    this.#options = options
    this.#view = options.reading.view
    const { revision } = options.reading
    this.#progress = new Progress(revision)
    this.#position = revision
    this.#confirmedAt = options.clock.monotonic()
    this.#settled = { revision, next: revision, at: this.#confirmedAt }
  }

  /** What is known of the tree now. */
  get view(): TreeView {
    return this.#view
  }

  /** Follows the tree until the signal aborts, whatever happens to etcd. */
  async *follow(signal: AbortSignal): AsyncGenerator<StorageNews> {
    while (!signal.aborted) {
      if (this.#anew) {
        const reset = await this.#readAnew(signal)
        if (reset === undefined) continue
        yield { reset }
      }
      try {
        yield* this.#watch(signal)
      } catch (error) {
        this.#options.log(`a watch on etcd ended: ${MeshError.from(error).message}`)
      }
      this.#host++
      await sleep(this.#options.clock, pauseMs, signal)
    }
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<StorageNews> {
    const { connection, tree, clock } = this.#options
    // What came after the settled position is told again by etcd, and left out here where it is known.
    const from = this.#settled.revision
    this.#progress = new Progress(from)
    const stream = await WatchStream.open<Look>(connection, this.#host, tree, from + 1, clock)
    const begun = clock.monotonic()
    const watch: Watching = { heardAt: begun, levelAt: begun, looking: false, known: this.#position }
    const stop = () => stream.close()
    signal.addEventListener("abort", stop)
    const tick = () => {
      stream.inbox.push({ tick: true })
      timer = clock.timer(lookEveryMs, tick).unref()
    }
    let timer = clock.timer(lookEveryMs, tick).unref()
    try {
      for (let item = await stream.next(); item !== undefined && !signal.aborted; item = await stream.next()) {
        const news = await this.#handle(item, stream, watch, signal)
        if (news === "over") return
        if (news) yield news
      }
    } finally {
      timer.cancel()
      signal.removeEventListener("abort", stop)
      stream.close()
    }
  }

  async #handle(item: WatchItem<Look>, stream: WatchStream<Look>, watch: Watching, signal: AbortSignal): Promise<StorageNews | "over" | undefined> {
    const now = this.#options.clock.monotonic()
    if ("ended" in item) return "over"
    if ("tick" in item) {
      if (!watch.looking) {
        watch.looking = true
        void this.#look(stream)
      }
      return undefined
    }
    if ("failed" in item) {
      // Nobody knows where the store is: no reason to give up a watch that may be in order.
      watch.looking = false
      watch.heardAt = now
      watch.levelAt = now
      return undefined
    }
    if ("store" in item) {
      watch.looking = false
      const { revision, epoch, at, known } = item.store
      // The answer may come after changes that are younger than it: only what was known when it was asked for must be in it.
      if (epoch !== this.#view.epoch) return this.#begin("its epoch is another one")
      if (revision < known) return this.#begin(`it is at revision ${revision}, and was at ${known}`)
      if (now - watch.heardAt > patienceMs || now - watch.levelAt > patienceMs) return "over"
      this.#progress.ask(revision, at)
      stream.askProgress()
      return undefined
    }
    if (!("answer" in item)) return undefined
    watch.heardAt = now
    const { answer } = item
    if (answer.canceled) return Number(answer.compact_revision) > 0 ? this.#begin(`it was compacted up to ${answer.compact_revision}`) : "over"
    if (answer.created) {
      this.#progress.created(Number(answer.header.revision), now)
      return undefined
    }
    if (answer.events.length > 0) return this.#apply(answer, watch.known, signal)
    if (!this.#progress.report(Number(answer.header.revision), now)) return undefined
    watch.levelAt = now
    this.#confirmedAt = now
    this.#position = Math.max(this.#position, this.#progress.trusted)
    if (now - this.#settled.at > settleMs) this.#settled = { revision: this.#settled.next, next: this.#position, at: now }
    return { revision: this.#position, changes: [] }
  }

  /** Applies the events of an answer, revision by revision. */
  async #apply(answer: IWatchResponse, known: number, signal: AbortSignal): Promise<StorageNews | "over" | undefined> {
    const changes: StorageChange[] = []
    let problems = false
    for (const { revision, events } of revisionsOf(answer)) {
      if (!this.#progress.change(revision))
        return this.#begin(`it told of revision ${revision} after all up to ${this.#progress.trusted} had been told`)
      if (revision <= known) {
        if (!events.every((event) => this.#view.covers(event))) return this.#begin(`it had not told of revision ${revision} before`)
        continue
      }
      const result = this.#view.apply(events)
      if (result.epochChanged) return this.#begin("its epoch was written anew")
      if (result.serversChanged) this.#options.serversChanged()
      problems ||= result.problemsChanged
      changes.push(...result.changes)
      if (result.orphans.length > 0) void removeOrphans(this.#options, result.orphans)
      if (result.lost.length > 0 && !(await this.#putBack(result.lost, signal)))
        return this.#begin("what was lost with its lease could not be put back")
    }
    this.#position = Math.max(this.#position, this.#progress.trusted)
    if (changes.length === 0 && !problems) return undefined
    return { revision: this.#position, changes, ...(problems ? { problems: this.#view.problems } : {}) }
  }

  async #putBack(lost: TreeChanges["lost"], signal: AbortSignal): Promise<boolean> {
    this.#options.log(`the etcd lease of the tree was lost with ${lost.length} instances, which are put back`)
    const done = await putBack(this.#options, lost, signal)
    this.#unrestored = done ? [] : lost
    return done
  }

  /** Everything has to be read anew. */
  #begin(why: string): "over" {
    this.#options.log(`etcd is read anew: ${why}`)
    this.#anew = true
    return "over"
  }

  /** Asks where the store is, and puts the answer into the inbox. */
  async #look(stream: WatchStream<Look>): Promise<void> {
    const { connection, tree, clock } = this.#options
    const at = clock.monotonic()
    const known = this.#position
    try {
      const answer = await connection.call((client, options) => client.kv.range({ key: Buffer.from(tree.epoch) }, options), lookLimitMs)
      stream.inbox.push({ store: { revision: Number(answer.header.revision), epoch: answer.kvs[0]?.value.toString("utf8"), at, known } })
    } catch (error) {
      stream.inbox.push({ failed: MeshError.from(error).message })
    }
  }

  /** Everything as it is now; undefined when etcd does not answer. */
  async #readAnew(signal: AbortSignal): Promise<StoredState | undefined> {
    const { connection, tree, leases, clock, log, serversChanged } = this.#options
    try {
      await leases.ensure()
      await ensureEpoch(connection, tree)
      let reading = await readTree(connection, tree, () => clock.now())
      const old = this.#view
      const known = this.#position
      if (reading.revision < known && reading.view.epoch === old.epoch) {
        log(`etcd is at revision ${reading.revision} and was at ${known}: it was restored, and counts anew`)
        await ensureEpoch(connection, tree, old.epoch)
        reading = await readTree(connection, tree, () => clock.now())
      }
      const away = clock.monotonic() - this.#confirmedAt
      if (reading.view.epoch === old.epoch && reading.view.leaseMark > known && away < tombstonesMs) {
        const lost = [...old.leased(), ...this.#unrestored].filter(
          ({ key }) => reading.view.keys(key)?.location === undefined && !reading.view.isBuried(key),
        )
        if (lost.length > 0) {
          await this.#putBack(lost, signal)
          reading = await readTree(connection, tree, () => clock.now())
        }
      }
      this.#anew = false
      this.#view = reading.view
      const { revision } = reading
      this.#progress = new Progress(revision)
      this.#position = revision
      this.#unrestored = []
      this.#settled = { revision, next: revision, at: clock.monotonic() }
      if (reading.orphans.length > 0) void removeOrphans(this.#options, reading.orphans)
      serversChanged()
      return reading.view.state(revision)
    } catch (error) {
      log(`etcd could not be read anew: ${MeshError.from(error).message}`)
      await sleep(clock, pauseMs * 2, signal)
      return undefined
    }
  }
}

/** The events of an answer by their revisions. */
function revisionsOf(answer: IWatchResponse): { revision: number; events: KeyEvent[] }[] {
  const revisions: { revision: number; events: KeyEvent[] }[] = []
  for (const { type, kv } of answer.events) {
    const revision = Number(kv.mod_revision)
    // The driver types it as Put, and hands out what etcd says.
    const event = { put: (type as string).toUpperCase() === "PUT", kv }
    const last = revisions.at(-1)
    if (last?.revision === revision) last.events.push(event)
    else revisions.push({ revision, events: [event] })
  }
  return revisions
}
