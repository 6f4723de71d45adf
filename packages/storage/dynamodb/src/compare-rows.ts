import { type InstanceRecord, keyText } from "@meshwork/contract"
import type { LoggedChange } from "./log-row.ts"
import type { RowTask } from "./materializer.ts"
import { earlierThan, exactly, recordItem, rowOf } from "./record-row.ts"
import type { Held, Replica } from "./replica.ts"
import { goneItem, type LegacyRow, type TableRows } from "./table-rows.ts"

export interface Comparison {
  /** Rows that are not as the log says. */
  tasks: RowTask[]
  /** What lyft/discovery itself did in the table, and the log does not say yet. */
  imports: LoggedChange[]
}

export interface CompareOptions {
  /** Only what was learned by then, in monotonic time, is looked at: who made later changes may be writing the rows just now. */
  learnedBy: number
  /** Counter of the data set when reading the rows began. */
  revision: number
  now: number
}

const removalsKeptMs = 600_000
const byLyft = { by: "lyft/discovery" } as const

/** What is to be done so that the rows of a table and the log say the same. */
export function compareRows(replica: Replica, rows: TableRows, options: CompareOptions): Comparison {
  const found: Comparison = { tasks: [], imports: [] }
  for (const [text, { record, revision }] of rows.own) {
    const held = replica.records.get(text)
    if (held !== undefined && held.legacy === undefined) continue
    const removal = replica.removals.get(text)
    const known = held?.learnedAt ?? removal?.learnedAt ?? Number.NEGATIVE_INFINITY
    // What came late from a server that slept: the log had gone past it.
    if (known <= options.learnedBy && revision <= options.revision) found.tasks.push({ delete: rowOf(record), condition: exactly(revision) })
  }
  for (const [text, held] of replica.records) {
    if (held.learnedAt > options.learnedBy || held.revision > options.revision) continue
    if (held.legacy !== undefined) {
      if (!rows.legacy.has(text)) found.imports.push(deletion(held, options.now))
    } else if ((rows.own.get(text)?.revision ?? -1) < held.revision) {
      found.tasks.push({ put: recordItem(held.record, held.revision), condition: earlierThan(held.revision) })
    }
  }
  for (const [text, legacy] of rows.legacy) compareLegacy(replica, text, legacy, options.now, found)
  for (const gone of rows.gone) if (options.now - gone.at > removalsKeptMs) found.tasks.push({ delete: gone.row })
  return found
}

function compareLegacy(replica: Replica, text: string, legacy: LegacyRow, now: number, found: Comparison): void {
  const held = replica.records.get(text)
  const removal = replica.removals.get(text)
  const { record, renewedAt, row } = legacy
  if (held === undefined) {
    // Removed here, and its row not yet; unless the host checked in again over there.
    if (removal !== undefined && renewedAt <= removal.at) found.tasks.push({ delete: row })
    else
      found.imports.push({ put: record, cause: { ...byLyft, why: "found in the table", at: now, what: "registered" }, legacy: row.range, renewedAt })
    return
  }
  if (held.legacy === undefined) {
    if (renewedAt <= held.record.registeredAt) found.tasks.push({ delete: row })
    return
  }
  const { registeredAt, health } = held.record
  const present: InstanceRecord = { ...record, registeredAt, health }
  const same = JSON.stringify(present) === JSON.stringify(held.record)
  const heldRenewedAt = held.renewedAt ?? 0
  // Once per half ttl, and then the latest there is: a host's last check-in is known before the one before it is over.
  if (same && (renewedAt <= heldRenewedAt || now - heldRenewedAt < record.ttlSeconds * 500)) return
  const why = same ? "it checked in there" : "changed in the table"
  found.imports.push({ put: present, cause: { ...byLyft, why, at: now, what: "updated" }, legacy: row.range, renewedAt })
}

function deletion({ record }: Held, now: number): LoggedChange {
  return { delete: [record.service, record.id], cause: { ...byLyft, why: "its row was deleted from the table", at: now, what: "deregistered" } }
}

/** What a change makes of the table's rows: an instance that moves here from lyft/discovery's own row is written before that one goes. */
export function tasksOf(change: LoggedChange, revision: number, at: number): RowTask[] {
  const { cause, drop } = change
  const condition = earlierThan(revision)
  if ("put" in change) {
    const { put, legacy } = change
    if (legacy !== undefined) return []
    const next = drop === undefined ? {} : { next: { delete: { service: put.service, range: drop } } }
    return [{ put: recordItem(put, revision), condition, ...next }]
  }
  const key = { service: change.delete[0], id: change.delete[1] }
  const dropped = drop === undefined ? [] : [{ delete: { service: key.service, range: drop } }]
  return [{ delete: rowOf(key), condition }, ...dropped, { put: goneItem({ key, revision, cause, at }) }]
}

/** Whether a change still says something that the replica does not know. */
export function stillNews(replica: Replica, change: LoggedChange): boolean {
  const held = replica.records.get("put" in change ? keyText(change.put) : keyText({ service: change.delete[0], id: change.delete[1] }))
  if (!("put" in change)) return held?.legacy !== undefined
  return held === undefined || (held.legacy !== undefined && (held.renewedAt ?? 0) <= (change.renewedAt ?? 0))
}
