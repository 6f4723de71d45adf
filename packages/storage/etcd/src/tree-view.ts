import { type InstanceKey, type InstanceRecord, keyText } from "@meshwork/contract"
import type { Cause, ServerInfo, StorageChange, StorageProblem, StoredState } from "@meshwork/registry-core"
import type { IKeyValue } from "etcd3"
import { type InstanceKeys, readCause, readInstance, readRecord, type Reading } from "./instance-codec.ts"
import { type EtcdTree, keyUnder } from "./tree.ts"

/** A change of one key. */
export interface KeyEvent {
  put: boolean
  kv: IKeyValue
}

/** What one revision did to a tree. */
export interface TreeChanges {
  changes: StorageChange[]
  /** Set when the lease of the tree was lost: what hung on it, as it was. */
  lost: { key: InstanceKey; record: InstanceRecord; cause: Cause }[]
  /** Records whose location is gone, with the revision of their last put. */
  orphans: { key: InstanceKey; mod: number }[]
  serversChanged: boolean
  problemsChanged: boolean
  /** The epoch key was put or removed. */
  epochChanged: boolean
}

interface Held extends InstanceKeys {
  key: InstanceKey
  reading: Reading
}

/** What a server knows of a tree: every key that matters, by instance. */
export class TreeView {
  readonly #tree: EtcdTree
  readonly #now: () => number
  #held = new Map<string, Held>()
  #tombstones = new Map<string, { key: InstanceKey; cause: Cause; mod: number }>()
  #servers = new Map<string, ServerInfo>()
  #problems = new Map<string, StorageProblem>()
  epoch = ""
  /** Revision in which the mark of the tree's lease was made; 0 while there is none. */
  leaseMark = 0

  /** @param now Unix ms, for causes that nobody wrote down */
  constructor(tree: EtcdTree, now: () => number) {
    this.#tree = tree
    this.#now = now
  }

  get servers(): ServerInfo[] {
    return [...this.#servers.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  get problems(): StorageProblem[] {
    return [...this.#problems.values()]
  }

  /** The keys of an instance. */
  keys(key: InstanceKey): InstanceKeys | undefined {
    return this.#held.get(keyText(key))
  }

  /** Whether an event that came before the present state is in it. */
  covers({ kv }: KeyEvent): boolean {
    const name = kv.key.toString("utf8")
    const located = keyUnder(this.#tree.services, name)
    const key = located ?? keyUnder(this.#tree.records, name)
    const held = key && this.#held.get(keyText(key))
    const mod = (located ? held?.location : held?.record)?.mod
    return mod === undefined || mod >= Number(kv.mod_revision)
  }

  /** Whether an instance was removed lately by somebody who said why. */
  isBuried(key: InstanceKey): boolean {
    return this.#tombstones.has(keyText(key))
  }

  /** Everything that can be read, as of `revision`. */
  state(revision: number): StoredState {
    const records = [...this.#held.values()].flatMap(({ reading }) => (reading && "stored" in reading ? [reading.stored] : []))
    const removed = [...this.#tombstones.values()].filter(({ key }) => this.#held.get(keyText(key))?.reading === undefined)
    return {
      epoch: this.epoch,
      revision,
      records,
      problems: this.problems,
      lastAliveAt: null,
      removed: removed.map(({ key, cause, mod }) => ({ key, cause, revision: mod })),
    }
  }

  /** Instances on the tree's lease, as records with their causes. */
  leased(): TreeChanges["lost"] {
    return [...this.#held.values()].flatMap((held) => this.#asLost(held))
  }

  /** Applies the events of one revision. */
  apply(events: readonly KeyEvent[]): TreeChanges {
    const result: TreeChanges = { changes: [], lost: [], orphans: [], serversChanged: false, problemsChanged: false, epochChanged: false }
    const touched = new Map<string, { before: Held | undefined; after: Held }>()
    const causes = new Map<string, Cause>()
    let revision = 0
    let leaseLost = false
    for (const { put, kv } of events) {
      const name = kv.key.toString("utf8")
      const mod = Number(kv.mod_revision)
      revision = Math.max(revision, mod)
      if (name === this.#tree.leaseMark) {
        leaseLost ||= !put
        this.leaseMark = put ? Number(kv.create_revision) : 0
        continue
      }
      if (name === this.#tree.epoch) {
        result.epochChanged ||= !put || kv.value.toString("utf8") !== this.epoch
        if (put) this.epoch = kv.value.toString("utf8")
        continue
      }
      if (name.startsWith(this.#tree.servers)) {
        this.#setServer(name.slice(this.#tree.servers.length), put ? kv.value.toString("utf8") : undefined)
        result.serversChanged = true
        continue
      }
      const buried = keyUnder(this.#tree.tombstones, name)
      if (buried !== undefined) {
        const cause = put ? readCause(kv.value.toString("utf8")) : undefined
        if (cause === undefined) this.#tombstones.delete(keyText(buried))
        else {
          this.#tombstones.set(keyText(buried), { key: buried, cause, mod })
          causes.set(keyText(buried), cause)
        }
        continue
      }
      this.#touch(name, put ? kv : undefined, touched)
    }
    for (const [text, { before, after }] of touched) {
      after.reading = readInstance(after.key, after, this.#tree.lease)
      if (after.location === undefined && after.record === undefined) this.#held.delete(text)
      else this.#held.set(text, after)
      if (after.location === undefined && after.record !== undefined) result.orphans.push({ key: after.key, mod: after.record.mod })
      if (this.#noteProblem(text, after.reading)) result.problemsChanged = true
      if (leaseLost && before !== undefined && after.location === undefined && !causes.has(text)) {
        const lost = this.#asLost(before)
        if (lost.length > 0) {
          result.lost.push(...lost)
          continue
        }
      }
      const change = this.#changeOf(before, after, causes.get(text), revision)
      if (change) result.changes.push(change)
    }
    return result
  }

  #touch(name: string, kv: IKeyValue | undefined, touched: Map<string, { before: Held | undefined; after: Held }>): void {
    const located = keyUnder(this.#tree.services, name)
    const key = located ?? keyUnder(this.#tree.records, name)
    if (key === undefined) return
    const text = keyText(key)
    let change = touched.get(text)
    if (change === undefined) {
      const before = this.#held.get(text)
      change = { before, after: before ? { ...before } : { key, reading: undefined } }
      touched.set(text, change)
    }
    const { after } = change
    if (located) {
      if (kv === undefined) delete after.location
      else after.location = { value: kv.value.toString("utf8"), mod: Number(kv.mod_revision), lease: kv.lease }
    } else if (kv === undefined) delete after.record
    else after.record = { value: readRecord(key, kv.value.toString("utf8")), mod: Number(kv.mod_revision), lease: kv.lease }
  }

  #changeOf(before: Held | undefined, after: Held, tombstone: Cause | undefined, revision: number): StorageChange | undefined {
    const was = before?.reading && "stored" in before.reading ? before.reading : undefined
    const is = after.reading && "stored" in after.reading ? after.reading : undefined
    if (is === undefined) {
      if (was === undefined) return undefined
      return { op: "delete", key: after.key, revision, cause: tombstone ?? this.#unsaid(this.#whyGone(before, after)) }
    }
    // Whoever writes a record without saying why leaves the cause of the time before in it.
    const said = is.cause !== undefined && !sameCause(is.cause, was?.cause) && after.record?.mod === revision ? is.cause : undefined
    return { op: "put", stored: is.stored, cause: said ?? this.#unsaid(was === undefined ? "its key was put into etcd" : "changed in etcd") }
  }

  #whyGone(before: Held | undefined, after: Held): string {
    if (after.reading && "problem" in after.reading) return after.reading.problem
    const lease = before?.location?.lease ?? "0"
    return lease === "0" || lease === this.#tree.lease ? "its key was removed from etcd" : "its own etcd lease ended, or its key was removed"
  }

  #unsaid(why: string): Cause {
    return { by: "etcd", why, at: this.#now() }
  }

  #asLost(held: Held): TreeChanges["lost"] {
    const { key, location, record, reading } = held
    if (location?.lease !== this.#tree.lease || record === undefined || reading === undefined || "problem" in reading) return []
    const cause = reading.cause ?? this.#unsaid("put back after its etcd lease was lost")
    return [{ key, record: reading.stored.record, cause }]
  }

  #setServer(id: string, text: string | undefined): void {
    let url: unknown
    try {
      url = text === undefined ? undefined : (JSON.parse(text) as { url?: unknown } | null)?.url
    } catch {
      url = undefined
    }
    if (typeof url === "string") this.#servers.set(id, { id, url })
    else this.#servers.delete(id)
  }

  #noteProblem(text: string, reading: Reading): boolean {
    const message = reading && "problem" in reading ? reading.problem : undefined
    const known = this.#problems.get(text)?.message
    if (message === undefined) this.#problems.delete(text)
    else this.#problems.set(text, { key: text, message })
    return known !== message
  }
}

function sameCause(a: Cause, b: Cause | undefined): boolean {
  return b !== undefined && a.at === b.at && a.by === b.by && a.why === b.why && a.what === b.what
}
