import type { InstanceKey, InstanceRecord } from "@meshwork/contract"
import { keyText } from "@meshwork/contract"
import type { Cause, StorageProblem } from "@meshwork/registry-core"
import { ownService } from "./log-row.ts"
import { readRecordRow } from "./record-row.ts"
import type { Item, RowKey, Table } from "./table.ts"

/** A deletion that is remembered for a while, in a row of its own. */
export interface GoneRow {
  key: InstanceKey
  revision: number
  cause: Cause
  at: number
  row: RowKey
}

/** lyft/discovery's own row of an instance. */
export interface LegacyRow {
  record: InstanceRecord
  renewedAt: number
  row: RowKey
}

/** Everything that stands in the table, but for the log. */
export interface TableRows {
  own: Map<string, { record: InstanceRecord; revision: number }>
  legacy: Map<string, LegacyRow>
  gone: GoneRow[]
  problems: Map<string, StorageProblem>
}

/** Reads the whole table. @param ttlSeconds the lease of lyft/discovery's own rows */
export async function readTableRows(table: Table, consistent: boolean, ttlSeconds: number): Promise<TableRows> {
  const rows: TableRows = { own: new Map(), legacy: new Map(), gone: [], problems: new Map() }
  for await (const page of table.scan(consistent)) {
    for (const item of page) {
      if (item["service"]?.S === ownService) readGone(item, rows.gone)
      else readInstance(item, ttlSeconds, rows)
    }
  }
  return rows
}

function readInstance(item: Item, ttlSeconds: number, rows: TableRows): void {
  const read = readRecordRow(item, ttlSeconds)
  if ("problem" in read) {
    rows.problems.set(read.problem.key, read.problem)
    return
  }
  const { record } = read
  if ("revision" in read) rows.own.set(keyText(record), { record, revision: read.revision })
  else rows.legacy.set(keyText(record), { record, renewedAt: read.renewedAt, row: { service: record.service, range: read.legacy } })
}

/** A deletion as a row of the table. */
export function goneItem({ key, revision, cause, at }: Omit<GoneRow, "row">): Item {
  return {
    service: { S: ownService },
    ip_address: { S: `gone/${String(revision).padStart(16, "0")}` },
    gone: { S: JSON.stringify({ key, revision, cause, at }) },
  }
}

function readGone(item: Item, gone: GoneRow[]): void {
  const range = item["ip_address"]?.S ?? ""
  if (!range.startsWith("gone/")) return
  try {
    const { key, revision, cause, at } = JSON.parse(item["gone"]?.S ?? "") as GoneRow
    gone.push({ key, revision, cause, at, row: { service: ownService, range } })
  } catch {
    // It only says why something went: nothing is lost but that.
  }
}
