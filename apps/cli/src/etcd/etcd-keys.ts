import { MeshError } from "@meshwork/contract"
import type { EtcdClient } from "./etcd-client.ts"

/** A key with its value, as text. Counters are kept as etcd writes them: decimal text. */
export interface EtcdValue {
  key: string
  value: string
  modRevision: string
  /** Id of its lease; `0` = none. */
  lease: string
}

/** A condition of a transaction. */
export type EtcdCompare = object
/** A step of a transaction. */
export type EtcdStep = object

/** Base64, as etcd's JSON has keys and values. */
export const encode = (text: string): string => Buffer.from(text, "utf8").toString("base64")
const decode = (text: unknown): string => (typeof text === "string" ? Buffer.from(text, "base64").toString("utf8") : "")

/** A key as etcd's JSON has it. */
export function etcdValue(kv: Record<string, unknown>): EtcdValue {
  return { key: decode(kv["key"]), value: decode(kv["value"]), modRevision: text(kv["mod_revision"]), lease: text(kv["lease"]) }
}

const text = (value: unknown) => (typeof value === "string" ? value : "0")

/** Holds while the key was last written in this revision; `0` = while it does not exist. */
export function unchanged(key: string, modRevision: string): EtcdCompare {
  return { key: encode(key), target: "MOD", result: "EQUAL", mod_revision: modRevision }
}

/** Writes a key; without a lease (`0`) it is taken off the one it had. */
export function put(key: string, value: string, lease: string): EtcdStep {
  return { request_put: { key: encode(key), value: encode(value), ...(lease === "0" ? {} : { lease }) } }
}

/** Removes a key. */
export function remove(key: string): EtcdStep {
  return { request_delete_range: { key: encode(key) } }
}

/** Reads a key, or all keys from `key` up to `end`. */
export function range(key: string, end?: string): EtcdStep {
  return { request_range: { key: encode(key), ...(end === undefined ? {} : { range_end: encode(end) }) } }
}

/** What a transaction did. */
export interface EtcdResult {
  succeeded: boolean
  /** The revision it saw or made. */
  revision: string
  /** Per step: the keys it read. */
  read: EtcdValue[][]
  /** Per step: how many keys it removed. */
  removed: number[]
}

/** Does these steps at once if all conditions hold, else the others. */
export async function transact(
  client: EtcdClient,
  compare: readonly EtcdCompare[],
  success: readonly EtcdStep[],
  failure: readonly EtcdStep[] = [],
): Promise<EtcdResult> {
  const answer = await client.call("/v3/kv/txn", { compare, success, failure })
  const responses = (answer["responses"] ?? []) as Record<string, Record<string, unknown>>[]
  const { revision } = (answer["header"] ?? {}) as { revision?: string }
  return {
    succeeded: answer["succeeded"] === true,
    revision: revision ?? "0",
    read: responses.map((each) => ((each["response_range"]?.["kvs"] ?? []) as Record<string, unknown>[]).map(etcdValue)),
    removed: responses.map((each) => Number(each["response_delete_range"]?.["deleted"] ?? 0)),
  }
}

/** A new lease of at least `ttlSeconds`; its id. */
export async function grantLease(client: EtcdClient, ttlSeconds: number): Promise<string> {
  const { ID } = await client.call("/v3/lease/grant", { TTL: String(ttlSeconds) })
  if (typeof ID !== "string") throw new MeshError("invalid_request", `etcd at ${client.names} granted no lease`)
  return ID
}

/** Restarts a lease; false when it is gone. */
export async function renewLease(client: EtcdClient, id: string): Promise<boolean> {
  const { result } = (await client.call("/v3/lease/keepalive", { ID: id })) as { result?: { TTL?: string } }
  return Number(result?.TTL ?? 0) > 0
}

/** Seconds that a lease has left; undefined when it is gone. */
export async function leaseSeconds(client: EtcdClient, id: string): Promise<number | undefined> {
  const { TTL } = await client.call("/v3/lease/timetolive", { ID: id })
  const seconds = Number(TTL ?? 0)
  return seconds < 0 ? undefined : seconds
}

/** Ends a lease; no fault where it is gone already. */
export async function revokeLease(client: EtcdClient, id: string): Promise<void> {
  await client.call("/v3/lease/revoke", { ID: id }).catch((error: unknown) => {
    if (!MeshError.is(error) || error.code !== "not_found") throw error
  })
}
