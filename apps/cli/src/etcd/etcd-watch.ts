import { type Clock, type InstanceKey, type InstanceRecord, keyText, MeshError, sleep } from "@meshwork/contract"
import { keyUnder, prefixEnd } from "@meshwork/storage-etcd/tree"
import { encode, etcdValue, leaseSeconds } from "./etcd-keys.ts"
import { type EtcdEntry, type EtcdServices, parseRecord } from "./etcd-services.ts"

/** etcd speaks at least every 10 minutes where it is asked to. */
const silenceMs = 11 * 60_000
const firstBackoffMs = 250
const longestBackoffMs = 5000

/** A change of one service in the tree. */
export interface EtcdChange {
  /** When it was seen, Unix ms. */
  at: number
  /** `present` is what was there when the watch began. */
  what: "present" | "added" | "changed" | "removed"
  service: string
  id: string
  location: string
  why: string
}

/** What happened to a watch of a tree. */
export type EtcdWatchStep = { kind: "changes"; changes: EtcdChange[] } | { kind: "connected" } | { kind: "lost"; problem: MeshError }

/** Every change under the tree as it happens, over reconnections, until `signal` aborts. Rejects where the first reading fails. */
export async function* watchEtcd(services: EtcdServices, clock: Clock, signal: AbortSignal): AsyncGenerator<EtcdWatchStep> {
  const view = new TreeView(services, clock)
  for (let failures = 0; !signal.aborted; ) {
    try {
      // What was missed is told as the difference, so that neither compaction nor an etcd begun anew can hide it.
      const { revision, entries } = await services.read()
      const missed = await view.replace(entries)
      yield { kind: "connected" }
      failures = 0
      if (missed.length > 0) yield { kind: "changes", changes: missed }
      for await (const events of follow(services, revision, signal)) {
        const changes = await view.apply(events)
        if (changes.length > 0) yield { kind: "changes", changes }
      }
    } catch (error) {
      if (signal.aborted) return
      if (!MeshError.is(error) || !view.begun || error.code === "unauthorized") throw error
      yield { kind: "lost", problem: error }
      await sleep(clock, Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(failures++, 10)), signal)
    }
  }
}

interface KeyEvent {
  key: string
  /** Undefined when it was removed. */
  value: string | undefined
  lease: string
}

async function* follow(services: EtcdServices, revision: string, signal: AbortSignal): AsyncGenerator<KeyEvent[]> {
  const { client, tree } = services
  const start_revision = (BigInt(revision) + 1n).toString()
  // Records lie before services; what lies between them is left out below.
  const create_request = { key: encode(tree.records), range_end: encode(prefixEnd(tree.services)), start_revision, progress_notify: true }
  for await (const { result } of client.stream("/v3/watch", { create_request }, silenceMs, signal)) {
    const { events, canceled, cancel_reason } = result as { events?: Record<string, unknown>[]; canceled?: boolean; cancel_reason?: string }
    if (canceled) throw new MeshError("upstream_reset", `etcd at ${client.names} ended the watch: ${cancel_reason || "its history was compacted"}`)
    if (events === undefined) continue
    yield events.map((event) => {
      const { key, value, lease } = etcdValue(event["kv"] as Record<string, unknown>)
      return { key, value: event["type"] === "DELETE" ? undefined : value, lease }
    })
  }
  if (!signal.aborted) throw new MeshError("upstream_reset", `etcd at ${client.names} ended the watch`)
}

interface Known {
  key: InstanceKey
  location: string
  lease: string
  record: InstanceRecord | undefined
}

class TreeView {
  readonly #services: EtcdServices
  readonly #clock: Clock
  #known = new Map<string, Known>()
  begun = false

  constructor(services: EtcdServices, clock: Clock) {
    this.#services = services
    this.#clock = clock
  }

  async replace(entries: readonly EtcdEntry[]): Promise<EtcdChange[]> {
    const next = new Map(entries.map(({ key, value, record }) => [keyText(key), { key, location: value.value, lease: value.lease, record }]))
    const first = !this.begun
    this.begun = true
    const changes: EtcdChange[] = []
    for (const text of new Set([...this.#known.keys(), ...next.keys()]))
      changes.push(...(await this.#difference(this.#known.get(text), next.get(text), first)))
    this.#known = next
    return changes
  }

  async apply(events: readonly KeyEvent[]): Promise<EtcdChange[]> {
    const { services, records } = this.#services.tree
    const touched = new Map<string, Known | undefined>()
    const orphans = new Map<string, InstanceRecord | undefined>()
    for (const event of events) {
      const key = keyUnder(services, event.key) ?? keyUnder(records, event.key)
      if (key === undefined) continue
      const text = keyText(key)
      const before = touched.has(text) ? touched.get(text) : this.#known.get(text)
      if (event.key.startsWith(services)) {
        const record = before?.record ?? orphans.get(text)
        touched.set(text, event.value === undefined ? undefined : { key, location: event.value, lease: event.lease, record })
      } else {
        const record = event.value === undefined ? undefined : parseRecord({ key: event.key, value: event.value, modRevision: "0", lease: "0" })
        orphans.set(text, record)
        if (before) touched.set(text, { ...before, record })
      }
    }
    const changes: EtcdChange[] = []
    for (const [text, after] of touched) {
      changes.push(...(await this.#difference(this.#known.get(text), after, false)))
      if (after) this.#known.set(text, after)
      else this.#known.delete(text)
    }
    return changes
  }

  async #difference(before: Known | undefined, after: Known | undefined, first: boolean): Promise<EtcdChange[]> {
    const known = after ?? before
    if (known === undefined) return []
    const change = (what: EtcdChange["what"], why: string): EtcdChange[] => {
      const { service, id } = known.key
      return [{ at: this.#clock.now(), what, service, id, location: known.location, why }]
    }
    if (after === undefined) return change("removed", await this.#whyGone(known))
    if (before === undefined) return change(first ? "present" : "added", this.#whyThere(after))
    const why = whyChanged(before, after)
    return why === "" ? [] : change("changed", why)
  }

  async #whyGone({ lease }: Known): Promise<string> {
    if (lease === "0") return "its key was removed"
    return (await leaseSeconds(this.#services.client, lease)) === undefined
      ? "its lease ran out or was revoked"
      : "its key was removed before its lease ran out"
  }

  #whyThere({ lease, record }: Known): string {
    const wish = overrideText(record)
    return `registered, ${lease === "0" ? "never expires" : "on a lease"}${wish === "" ? "" : `; ${wish}`}`
  }
}

function whyChanged(before: Known, after: Known): string {
  const parts: string[] = []
  if (before.location !== after.location) parts.push(`location ${before.location} -> ${after.location}`)
  const wishes = [overrideText(before.record), overrideText(after.record)]
  if (wishes[0] !== wishes[1]) parts.push(wishes[1] || "an operator's wish was taken back")
  const health = after.record?.health
  if (health && health.status !== (before.record?.health.status ?? "unknown")) parts.push(`${health.status}: ${health.reason}`)
  if ((before.record?.state ?? "up") !== (after.record?.state ?? "up")) parts.push(`asks to be ${after.record?.state ?? "up"}`)
  return parts.join("; ")
}

function overrideText(record: InstanceRecord | undefined): string {
  const { weight, state, by } = record?.override ?? {}
  const wishes = [...(weight === undefined ? [] : [`weight ${weight}`]), ...(state === undefined ? [] : [state])]
  return wishes.length === 0 ? "" : `${wishes.join(", ")} by ${by}`
}
