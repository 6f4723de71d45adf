import type { InstanceKey, InstanceRecord } from "@meshwork/contract"

/** Keeps the records of a registry and decides nothing. */
export interface RegistryStorage {
  /** Short name for messages, such as `sqlite`. */
  readonly name: string
  /** Opens and reads everything. Rejects with `storage_unavailable`, or `invalid_config` where waiting cannot help. */
  open(): Promise<StoredState>
  /**
   * Applies ops independently of each other; one result per op, in order; durable when it resolves.
   * Every call, an empty one too, is a sign of life. Rejects with `storage_unavailable` when nothing is known to be applied.
   */
  commit(ops: readonly StorageOp[]): Promise<OpResult[]>
  /** Idempotent; works after a half-open. */
  close(): Promise<void>
}

/** Storage that several servers use at once. */
export interface SharedStorage extends RegistryStorage {
  /**
   * Every commit of every server in one order, from where `open` ended; read once per opening, resumes by itself and never throws. A yield without
   * changes says that at most 2 s ago everything up to `revision` had been yielded; while the store answers there is one at least every 2 s.
   */
  changes(signal: AbortSignal): AsyncIterable<StorageNews>
  /** Announces this server until the signal aborts, and yields who is there, itself included, again after each change. Never throws. */
  servers(self: ServerInfo, signal: AbortSignal): AsyncIterable<ServerInfo[]>
}

/**
 * What a shared storage has to tell: changes up to `revision`, or everything anew where continuity was lost. `problems` are all that there are,
 * given when they changed.
 */
export type StorageNews = { revision: number; changes: StorageChange[]; problems?: StorageProblem[] } | { reset: StoredState }

/** A discovery server as the others see it. */
export interface ServerInfo {
  /** Random per process. */
  id: string
  /** Base URL under which it can be reached. */
  url: string
}

/** A record as the storage holds it. */
export interface StoredRecord {
  record: InstanceRecord
  /** Opaque; changes with every put. */
  version: string
  /** Counter of the data set at its last put. */
  revision: number
  /** Unix ms of the last heartbeat the storage knows of; absent when it keeps none. */
  renewedAt?: number
}

/** A record that could not be read: skipped, reported, left in place. */
export interface StorageProblem {
  key: string
  message: string
}

/** Everything a storage holds. */
export interface StoredState {
  /** Identity of the counting; a new one means that revisions start over. */
  epoch: string
  revision: number
  records: StoredRecord[]
  problems: StorageProblem[]
  /** Unix ms of the last commit before this opening; null for an empty, volatile or shared storage. */
  lastAliveAt: number | null
  /** Why records went lately, where the storage remembers it. */
  removed?: { key: InstanceKey; revision: number; cause: Cause }[]
}

/** Who made a change, why, and when (Unix ms). */
export interface Cause {
  by: string
  why: string
  at: number
  /** What the journal calls it, such as `registered` or `expired`; absent where whoever made it did not say. */
  what?: string
}

/** One change to a storage. `ifVersion: null` means the key must not exist. */
export type StorageOp =
  | { op: "put"; record: InstanceRecord; ifVersion: string | null; cause: Cause }
  | { op: "delete"; key: InstanceKey; ifVersion: string; cause: Cause }
  /** Unshared stores only; may be lost by a crash; never creates, never changes version or revision. */
  | { op: "touch"; key: InstanceKey; renewedAt: number }

/** What became of one op. `revision` is the counter after it; a touch answers with the unchanged one. */
export type OpResult = { ok: true; version: string; revision: number } | { ok: false; why: "conflict" | "missing"; current: StoredRecord | null }

/** A change as a shared storage reports it to every server. */
export type StorageChange = { op: "put"; stored: StoredRecord; cause: Cause } | { op: "delete"; key: InstanceKey; revision: number; cause: Cause }
