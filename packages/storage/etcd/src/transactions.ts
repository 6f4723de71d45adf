import { type InstanceKey, keyText } from "@meshwork/contract"
import type { OpResult, StorageOp } from "@meshwork/registry-core"
import type { IKeyValue, IRequestOp, IResponseOp, ITxnRequest } from "etcd3"
import { type InstanceKeys, isLocationOf, parseVersion, readInstance, readRecord, versionOf, writeCause, writeInstance } from "./instance-codec.ts"
import type { EtcdTree } from "./tree.ts"

/** What etcd takes in one transaction is 128 operations and 1.5 MB. */
const maxOps = 64
const maxBytes = 1024 * 1024

/** A put or a delete, with the revisions its keys must have; undefined where the version is none, so that it cannot hold. */
export interface Step {
  index: number
  op: Extract<StorageOp, { op: "put" | "delete" }>
  expected: { location: number; record: number } | undefined
}

/** The key that a step is about. */
export function keyOf({ op }: Step): InstanceKey {
  return op.op === "put" ? op.record : op.key
}

/** Steps of a commit; touches are none, since heartbeats never reach a shared store. */
export function stepsOf(ops: readonly StorageOp[]): Step[] {
  return ops.flatMap((op, index) => {
    if (op.op === "touch") return []
    return [{ index, op, expected: op.ifVersion === null ? { location: 0, record: 0 } : parseVersion(op.ifVersion) }]
  })
}

/** Steps as etcd takes them: in order, none too large, no key twice in one. */
export function* portionsOf(steps: readonly Step[]): Generator<Step[]> {
  let portion: Step[] = []
  let keys = new Set<string>()
  let bytes = 0
  for (const step of steps) {
    const text = keyText(keyOf(step))
    const size = step.op.op === "put" ? JSON.stringify(step.op.record).length * 2 : 500
    if (portion.length > 0 && (portion.length >= maxOps || bytes + size > maxBytes || keys.has(text))) {
      yield portion
      portion = []
      keys = new Set()
      bytes = 0
    }
    portion.push(step)
    keys.add(text)
    bytes += size
  }
  if (portion.length > 0) yield portion
}

/** How one step is put to etcd. */
export interface Request {
  txn: ITxnRequest
  /** Whether the location is written too. */
  moves: boolean
  /** What the step writes, as text, by which it is known again where its answer was lost. */
  mark: string
}

/** The transaction of a step, given what is known of its keys. */
export function requestOf(step: Step, known: InstanceKeys | undefined, tree: EtcdTree, tombstoneLease: string): Request {
  const { op, expected } = step
  const key = keyOf(step)
  const location = Buffer.from(tree.location(key))
  const record = Buffer.from(tree.record(key))
  const tombstone = Buffer.from(`${tree.tombstones}${keyText(key)}`)
  const compare: ITxnRequest["compare"] = expected
    ? [
        { key: location, target: "Mod", result: "Equal", mod_revision: expected.location },
        { key: record, target: "Mod", result: "Equal", mod_revision: expected.record },
      ]
    : [{ key: location, target: "Mod", result: "Less", mod_revision: 0 }]
  const reads = [location, record, ...(op.op === "delete" ? [tombstone] : [])].map((name): IRequestOp => ({ request_range: { key: name } }))
  if (op.op === "delete") {
    const mark = writeCause(op.cause)
    const success: IRequestOp[] = [
      { request_delete_range: { key: location } },
      { request_delete_range: { key: record } },
      { request_put: { key: tombstone, value: Buffer.from(mark), lease: tombstoneLease } },
    ]
    return { txn: { compare, success, failure: reads }, moves: false, mark }
  }
  const values = writeInstance(op.record, op.cause)
  const there = known?.location !== undefined && known.location.mod === expected?.location ? known.location : undefined
  const stays = there !== undefined && isLocationOf(there.value, op.record)
  // What hangs on a lease of its own goes on doing so, unless servers are to keep it.
  const own = stays && there.lease !== "0" && there.lease !== tree.lease ? there.lease : undefined
  const lease = op.record.ttlSeconds > 0 ? tree.lease : (own ?? "0")
  const moves = !stays || there.lease !== lease
  const puts = [...(moves ? [[location, values.location] as const] : []), [record, values.record] as const]
  const success = puts.map(
    ([name, value]): IRequestOp => ({ request_put: { key: name, value: Buffer.from(value), ...(lease === "0" ? {} : { lease }) } }),
  )
  return { txn: { compare, success, failure: reads }, moves, mark: values.record }
}

/** What the answer to a step shows: its result, or that it met keys that are no instance, with their revisions. */
export type Answer = { result: OpResult } | { debris: { location: number; record: number } }

/**
 * Reads the answer to a step.
 * @param again whether the step may have been done before, by a call whose answer was lost
 */
export function answerOf(step: Step, request: Request, responses: IResponseOp | undefined, revision: number, tree: EtcdTree, again: boolean): Answer {
  const { op, expected } = step
  const txn = responses?.response_txn
  if (txn?.succeeded === true) {
    const version = op.op === "delete" ? `${revision}` : `${request.moves ? revision : (expected?.location ?? 0)}.${revision}`
    return { result: { ok: true, version, revision } }
  }
  const [location, record, tombstone] = (txn?.responses ?? []).map((response) => response.response_range.kvs[0])
  const key = keyOf(step)
  const keys = keysOf(key, location, record)
  if (again && op.op === "put" && record?.value.toString("utf8") === request.mark) {
    return { result: { ok: true, version: versionOf(keys), revision: Number(record.mod_revision) } }
  }
  if (again && location === undefined && tombstone?.value.toString("utf8") === request.mark) {
    return { result: { ok: true, version: tombstone.mod_revision, revision: Number(tombstone.mod_revision) } }
  }
  const reading = readInstance(key, keys, tree.lease)
  if (reading !== undefined && "stored" in reading) return { result: { ok: false, why: "conflict", current: reading.stored } }
  // No instance is in the way, only what is left of one, and that may have gone since.
  if (op.op === "put" && op.ifVersion === null) return { debris: { location: keys.location?.mod ?? 0, record: keys.record?.mod ?? 0 } }
  return { result: { ok: false, why: "missing", current: null } }
}

function keysOf(key: InstanceKey, location: IKeyValue | undefined, record: IKeyValue | undefined): InstanceKeys {
  const put = (kv: IKeyValue) => ({ mod: Number(kv.mod_revision), lease: kv.lease })
  return {
    ...(location ? { location: { value: location.value.toString("utf8"), ...put(location) } } : {}),
    ...(record ? { record: { value: readRecord(key, record.value.toString("utf8")), ...put(record) } } : {}),
  }
}
