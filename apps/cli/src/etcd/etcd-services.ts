import {
  type Clock,
  type InstanceKey,
  type InstanceRecord,
  instanceRecordSchema,
  type InstanceState,
  keyText,
  MeshError,
  parseHostPort,
  recordFormat,
} from "@meshwork/contract"
import { type EtcdTree, keyUnder, prefixEnd } from "@meshwork/storage-etcd/tree"
import type { EtcdClient } from "./etcd-client.ts"
import { type EtcdValue, grantLease, leaseSeconds, put, range, remove, renewLease, revokeLease, transact, unchanged } from "./etcd-keys.ts"

const maxTries = 8
const maxConcurrentReads = 16

/** One service in the tree. */
export interface EtcdService {
  key: InstanceKey
  location: string
  /** Seconds left on etcd's lease, or the ttl where a server keeps it; null = never expires. */
  ttl: number | null
  record?: InstanceRecord
}

/** A location key with its record. */
export interface EtcdEntry {
  key: InstanceKey
  value: EtcdValue
  record: InstanceRecord | undefined
}

/** A registration that this process made. */
export interface HeldService {
  /** Puts value and lease back to what they were, whatever happened to them; a lease that lives is restarted without a write. */
  refresh: () => Promise<void>
  /** Removes it, unless somebody else has registered under the name meanwhile; whether it did. */
  withdraw: () => Promise<boolean>
}

/** Empusa's tree in etcd, as commands use it. */
export class EtcdServices {
  readonly #client: EtcdClient
  readonly #tree: EtcdTree
  readonly #clock: Clock
  readonly #by: string

  /** `by` is who changes something, for the records. */
  constructor(client: EtcdClient, tree: EtcdTree, clock: Clock, by: string) {
    this.#client = client
    this.#tree = tree
    this.#clock = clock
    this.#by = by
  }

  get client(): EtcdClient {
    return this.#client
  }

  get tree(): EtcdTree {
    return this.#tree
  }

  /** Writes the location, whatever was there before; with a ttl on a new lease. */
  async register(key: InstanceKey, location: string, ttlSeconds: number): Promise<HeldService> {
    const client = this.#client
    const lease = async () => (ttlSeconds === 0 ? "0" : grantLease(client, ttlSeconds))
    let held = await lease()
    await this.#write(key, location, held)
    return {
      refresh: async () => {
        if (held !== "0" && !(await renewLease(client, held))) held = await lease()
        const { current } = await this.#read(key)
        if (current?.value !== location || current.lease !== held) await this.#write(key, location, held)
      },
      withdraw: async () => {
        const done = await this.#withdraw(key, location, held)
        if (held !== "0") await revokeLease(client, held)
        return done
      },
    }
  }

  /** Whether there was something to remove. */
  async unregister(key: InstanceKey): Promise<boolean> {
    const { removed } = await transact(this.#client, [], [remove(this.#tree.location(key)), remove(this.#tree.record(key))])
    return (removed[0] ?? 0) > 0
  }

  /** Every location with its record, or those of one type, as they are at one revision. */
  async read(type?: string): Promise<{ revision: string; entries: EtcdEntry[] }> {
    const { services, records } = this.#tree
    const under = (prefix: string) => (type === undefined ? prefix : `${prefix}${type}/`)
    const step = (prefix: string) => range(under(prefix), prefixEnd(under(prefix)))
    const { revision, read } = await transact(this.#client, [], [step(services), step(records)])
    const [locations = [], described = []] = read
    const recordOf = new Map(described.map((value) => [value.key.slice(records.length), value]))
    const entries = locations.flatMap((value): EtcdEntry[] => {
      const key = keyUnder(services, value.key)
      return key === undefined ? [] : [{ key, value, record: parseRecord(recordOf.get(keyText(key))) }]
    })
    return { revision, entries }
  }

  /** Everything, or one type, in the order of `type/name`. */
  async list(type?: string): Promise<EtcdService[]> {
    const { entries: found } = await this.read(type)
    const seconds = await this.#leases(found.filter(({ record }) => !isKept(record)).map(({ value }) => value.lease))
    return found
      .flatMap(({ key, value, record }): EtcdService[] => {
        const more = record === undefined ? {} : { record }
        if (record !== undefined && isKept(record)) return [{ key, location: value.value, ttl: record.ttlSeconds, ...more }]
        if (value.lease === "0") return [{ key, location: value.value, ttl: null, ...more }]
        const left = seconds.get(value.lease)
        // A lease that has ended while this was read takes its key along.
        return left === undefined ? [] : [{ key, location: value.value, ttl: left, ...more }]
      })
      .toSorted((a, b) => (keyText(a.key) < keyText(b.key) ? -1 : 1))
  }

  /** One of them. Rejects with `not_found`. */
  async get(key: InstanceKey): Promise<EtcdService> {
    const { current, described } = await this.#read(key)
    if (current === undefined) throw this.#unknown(key)
    const record = parseRecord(described)
    const ttl =
      record !== undefined && isKept(record) ? record.ttlSeconds : current.lease === "0" ? null : await leaseSeconds(this.#client, current.lease)
    if (ttl === undefined) throw this.#unknown(key)
    return { key, location: current.value, ttl, ...(record === undefined ? {} : { record }) }
  }

  /** Sets what an operator wants, or takes it back (null). Leaves the location key alone; rejects with `not_found`. */
  async override(key: InstanceKey, wish: { weight?: number | null; state?: InstanceState | null }): Promise<InstanceRecord> {
    for (let tries = 0; tries < maxTries; tries++) {
      const { current, described } = await this.#read(key)
      if (current === undefined) throw this.#unknown(key)
      const record = parseRecord(described) ?? this.#plainRecord(key, current.value)
      if (record.format > recordFormat) {
        throw new MeshError("conflict", `the record of ${keyText(key)} was written by a newer version, which alone may change it`)
      }
      const next = overridden(record, wish, { by: this.#by, at: this.#clock.now() })
      const unmoved = [unchanged(current.key, current.modRevision), unchanged(this.#tree.record(key), described?.modRevision ?? "0")]
      const { succeeded } = await transact(this.#client, unmoved, [put(this.#tree.record(key), JSON.stringify(next), current.lease)])
      if (succeeded) return next
    }
    throw new MeshError("conflict", `${keyText(key)} is changed by others all the time: try again`)
  }

  async #write(key: InstanceKey, location: string, lease: string): Promise<void> {
    const location_ = this.#tree.location(key)
    const record = this.#tree.record(key)
    for (let tries = 0; tries < maxTries; tries++) {
      const { described } = await this.#read(key)
      const known = parseRecord(described)
      const kept = known && this.#replaced(key, known, location)
      const steps = [put(location_, location, lease)]
      if (kept) steps.push(put(record, JSON.stringify(kept), lease))
      // What a newer version wrote it alone may change.
      else if (described && (known?.format ?? 0) <= recordFormat) steps.push(remove(record))
      const { succeeded } = await transact(this.#client, [unchanged(record, described?.modRevision ?? "0")], steps)
      if (succeeded) return
    }
    throw new MeshError("conflict", `${keyText(key)} is changed by others all the time: try again`)
  }

  async #withdraw(key: InstanceKey, location: string, lease: string): Promise<boolean> {
    for (let tries = 0; tries < maxTries; tries++) {
      const { current } = await this.#read(key)
      if (current === undefined) return true
      if (current.value !== location && (lease === "0" || current.lease !== lease)) return false
      const steps = [remove(current.key), remove(this.#tree.record(key))]
      if ((await transact(this.#client, [unchanged(current.key, current.modRevision)], steps)).succeeded) return true
    }
    return false
  }

  async #read(key: InstanceKey): Promise<{ current: EtcdValue | undefined; described: EtcdValue | undefined }> {
    const { read } = await transact(this.#client, [], [range(this.#tree.location(key)), range(this.#tree.record(key))])
    return { current: read[0]?.[0], described: read[1]?.[0] }
  }

  async #leases(ids: readonly string[]): Promise<Map<string, number>> {
    const wanted = [...new Set(ids)].filter((id) => id !== "0")
    const seconds = new Map<string, number>()
    let next = 0
    const ask = async () => {
      for (let id = wanted[next++]; id !== undefined; id = wanted[next++]) {
        const left = await leaseSeconds(this.#client, id)
        if (left !== undefined) seconds.set(id, left)
      }
    }
    await Promise.all(Array.from({ length: Math.min(maxConcurrentReads, wanted.length) }, ask))
    return seconds
  }

  #plainRecord(key: InstanceKey, location: string): InstanceRecord {
    const address = parseHostPort(location)
    if (address === undefined)
      throw new MeshError("conflict", `the location ${JSON.stringify(location)} of ${keyText(key)} is no host:port: nothing is sent there`)
    const now = this.#clock.now()
    return {
      ...key,
      ...address,
      scheme: "http",
      priority: "med",
      tags: {},
      ttlSeconds: 0,
      origin: "etcd",
      registeredAt: now,
      health: { status: "unknown", since: now, reason: "not probed yet", by: "registry" },
      format: recordFormat,
    }
  }

  /** What stays of a record when a plain registration takes its place: what an operator set, and a verdict about the same address. */
  #replaced(key: InstanceKey, record: InstanceRecord, location: string): InstanceRecord | undefined {
    if (parseHostPort(location) === undefined || record.format > recordFormat) return undefined
    const plain = this.#plainRecord(key, location)
    const judged = record.check === undefined && record.health.status !== "unknown" && record.host === plain.host && record.port === plain.port
    if (record.override === undefined && !judged) return undefined
    const { override } = record
    return { ...plain, ...(override === undefined ? {} : { override }), ...(judged ? { health: record.health } : {}) }
  }

  #unknown(key: InstanceKey): MeshError {
    return new MeshError("not_found", `${keyText(key)} is not registered under ${this.#tree.root || "/"} at ${this.#client.names}`)
  }
}

/** Whether a discovery server keeps it, and ends it when its ttl is over. */
function isKept(record: InstanceRecord | undefined): boolean {
  return record?.keeper !== undefined && record.ttlSeconds > 0
}

/** The record in a value; undefined where there is none that can be read. */
export function parseRecord(value: EtcdValue | undefined): InstanceRecord | undefined {
  if (value === undefined) return undefined
  try {
    const parsed = instanceRecordSchema.safeParse(JSON.parse(value.value))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}

function overridden(
  record: InstanceRecord,
  wish: { weight?: number | null; state?: InstanceState | null },
  cause: { by: string; at: number },
): InstanceRecord {
  const { override, ...rest } = record
  const { weight, state } = { weight: override?.weight ?? null, state: override?.state ?? null, ...wish }
  if (weight === null && state === null) return rest
  return { ...rest, override: { ...(weight === null ? {} : { weight }), ...(state === null ? {} : { state }), ...cause } }
}
