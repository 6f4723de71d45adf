import {
  formatHostPort,
  type InstanceKey,
  type InstanceRecord,
  instanceIdSchema,
  instanceRecordSchema,
  parseHostPort,
  recordFormat,
  serviceNameSchema,
} from "@meshwork/contract"
import type { Cause, StoredRecord } from "@meshwork/registry-core"

/** When and how a key was last put. */
interface Put {
  /** Revision of its last put. */
  mod: number
  /** Id of its lease; `0` = none. */
  lease: string
}

/** What the value of a record says. */
export type RecordValue = { record: InstanceRecord; cause: Cause | undefined } | { problem: string }

/** What a tree holds of one instance. */
export interface InstanceKeys {
  location?: Put & { value: string }
  record?: Put & { value: RecordValue }
}

/** What the keys of an instance say: a record with who wrote it, a problem, or nothing because the location is gone. */
export type Reading = { stored: StoredRecord; cause: Cause | undefined } | { problem: string } | undefined

const plainTtlSeconds = 30

/** Version of an instance: when its location and its record were last put, 0 where there is none. */
export function versionOf(keys: InstanceKeys): string {
  return `${keys.location?.mod ?? 0}.${keys.record?.mod ?? 0}`
}

/** The revisions in a version; undefined when it is none. */
export function parseVersion(version: string): { location: number; record: number } | undefined {
  const match = /^(\d+)\.(\d+)$/.exec(version)
  return match ? { location: Number(match[1]), record: Number(match[2]) } : undefined
}

/**
 * Reads the keys of an instance. The location counts; without a record it is a plain registration. A lease of its own ends the instance by
 * itself; `sharedLease` is the one that servers keep.
 */
export function readInstance(key: InstanceKey, keys: InstanceKeys, sharedLease: string): Reading {
  const { location, record } = keys
  if (location === undefined) return undefined
  const name = serviceNameSchema.safeParse(key.service).success ? instanceIdSchema.safeParse(key.id) : undefined
  if (name?.success !== true) return { problem: "its name is not one an instance can have" }
  const address = parseHostPort(location.value)
  if (address === undefined) return { problem: `its location ${JSON.stringify(location.value.slice(0, 200))} is not in HOST:PORT format` }
  const read = record?.value ?? { record: plain(key), cause: undefined }
  if ("problem" in read) return read
  let stored: InstanceRecord = { ...read.record, ...address }
  if (location.lease !== sharedLease && location.lease !== "0") {
    const { keeper: _nobody, ...rest } = stored
    stored = { ...rest, ttlSeconds: 0 }
  } else if (record === undefined && location.lease === sharedLease) stored.ttlSeconds = plainTtlSeconds
  return { stored: { record: stored, version: versionOf(keys), revision: Math.max(location.mod, record?.mod ?? 0) }, cause: read.cause }
}

/** The values of an instance's keys. */
export function writeInstance(record: InstanceRecord, cause: Cause): { location: string; record: string } {
  return { location: formatHostPort(record.host, record.port), record: JSON.stringify({ ...record, cause }) }
}

/** Whether a location says where a record is, however it is spelled. */
export function isLocationOf(location: string, { host, port }: InstanceRecord): boolean {
  const address = parseHostPort(location)
  return address?.host === host && address.port === port
}

/** The value of a tombstone. */
export function writeCause(cause: Cause): string {
  return JSON.stringify(cause)
}

/** The cause in a tombstone; undefined when it cannot be read. */
export function readCause(text: string): Cause | undefined {
  return asCause(parseJson(text))
}

/** The value of a record, read; what is unknown in it is kept. */
export function readRecord(key: InstanceKey, text: string): RecordValue {
  const value = parseJson(text)
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { problem: "its record is not a JSON object" }
  const { cause, ...rest } = value as Record<string, unknown>
  const parsed = instanceRecordSchema.safeParse(rest)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return { problem: `its record is not valid: ${issue?.path.join(".")}: ${issue?.message}` }
  }
  if (parsed.data.service !== key.service || parsed.data.id !== key.id) return { problem: "its record is another instance's" }
  return { record: parsed.data, cause: asCause(cause) }
}

function asCause(value: unknown): Cause | undefined {
  const { by, why, at, what } = (value ?? {}) as { [name in keyof Cause]: unknown }
  if (typeof by !== "string" || typeof why !== "string" || typeof at !== "number") return undefined
  return { by, why, at, ...(typeof what === "string" ? { what } : {}) }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** When it was registered nobody wrote down, and every server has to say the same. */
function plain(key: InstanceKey): InstanceRecord {
  return {
    ...key,
    host: "",
    port: 0,
    scheme: "http",
    priority: "med",
    tags: {},
    ttlSeconds: 0,
    origin: "etcd",
    registeredAt: 0,
    health: { status: "unknown", since: 0, reason: "not probed yet", by: "registry" },
    format: recordFormat,
  }
}
