import type { InstanceRecord } from "@meshwork/contract"
import { MeshError } from "@meshwork/contract"
import type { Cause } from "@meshwork/registry-core"
import type { Condition, Item } from "./table.ts"

/** The hash key of all rows that are no instances; no service can have this name. */
export const ownService = "\u0000meshwork"

/** Version of the rows of the log; a table with a higher one is refused. */
const logFormat = 1

/** A change as the log keeps it. The revision of the last one is the row's, of the others one less each. */
export type LoggedChange =
  /** `legacy`: the record was read from lyft/discovery's own row with this range key, where it stays. `drop`: that row goes. */
  | { put: InstanceRecord; cause: Cause; legacy?: string; renewedAt?: number; drop?: string }
  | { delete: readonly [service: string, id: string]; cause: Cause; drop?: string }

/** One row of the log: what one commit changed. */
export interface LogRow {
  /** Which of the data sets that ever stood in this table; a later one has a greater number. */
  generation: number
  /** Name of that data set. */
  epoch: string
  /** Counts the rows of the log, without gaps. */
  sequence: number
  /** Counter of the data set after the last change. */
  revision: number
  /** Rows the log has room for: row n stands where row n - slots stood. */
  slots: number
  /** Tells who wrote it, in which try. */
  nonce: string
  /** Unix ms at whoever wrote it; says only how long deletions are remembered. */
  at: number
  changes: LoggedChange[]
}

/** Range key of the slot that a row of the log stands in. */
export function slotKey(sequence: number, slots: number): string {
  return `log/${String(sequence % slots).padStart(6, "0")}`
}

/** Range keys that all slots lie between. */
export const slotRange: readonly [from: string, to: string] = ["log/", "log0"]

/** A row of the log as a row of the table. */
export function logItem(row: LogRow): Item {
  return {
    service: { S: ownService },
    ip_address: { S: slotKey(row.sequence, row.slots) },
    format: { N: String(logFormat) },
    generation: { N: String(row.generation) },
    epoch: { S: row.epoch },
    sequence: { N: String(row.sequence) },
    log_revision: { N: String(row.revision) },
    slots: { N: String(row.slots) },
    nonce: { S: row.nonce },
    at: { N: String(row.at) },
    changes: { S: JSON.stringify(row.changes) },
  }
}

/** Holds while the slot is free for this row: it is empty, or what stands there is older. */
export function slotFree(row: LogRow): Condition {
  return {
    expression: "attribute_not_exists(generation) OR generation < :generation OR (generation = :generation AND #sequence < :sequence)",
    names: { "#sequence": "sequence" },
    values: { ":generation": { N: String(row.generation) }, ":sequence": { N: String(row.sequence) } },
  }
}

/** Reads a row of the log. Throws `invalid_config` for one of a newer version or of nobody's. */
export function readLogRow(table: string, item: Item): LogRow {
  const number = (name: string) => Number(item[name]?.N)
  if (number("format") > logFormat) {
    throw new MeshError("invalid_config", `the DynamoDB table ${table} is used by a newer version of Meshwork (log of format ${number("format")})`)
  }
  try {
    const changes = JSON.parse(item["changes"]?.S ?? "") as LoggedChange[]
    const epoch = item["epoch"]?.S ?? ""
    const nonce = item["nonce"]?.S ?? ""
    const counters = {
      generation: number("generation"),
      sequence: number("sequence"),
      revision: number("log_revision"),
      slots: number("slots"),
      at: number("at"),
    }
    if (epoch !== "" && Array.isArray(changes) && Object.values(counters).every(Number.isSafeInteger)) return { ...counters, epoch, nonce, changes }
  } catch {
    // Reported below.
  }
  throw new MeshError(
    "storage_unavailable",
    `row ${item["ip_address"]?.S} of ${JSON.stringify(ownService)} in the DynamoDB table ${table} is damaged`,
  )
}

/** Revision of each change of a row. */
export function revisionsOf(row: LogRow): number[] {
  return row.changes.map((_change, index) => row.revision - row.changes.length + 1 + index)
}
