import { randomUUID } from "node:crypto"
import { type Clock, keyText, MeshError } from "@meshwork/contract"
import { logItem, type LogRow, ownService, readLogRow, revisionsOf, slotKey, slotRange } from "./log-row.ts"
import { type Position, Replica } from "./replica.ts"
import { readTableRows, type TableRows } from "./table-rows.ts"
import type { Table } from "./table.ts"

export interface LoadOptions {
  table: Table
  clock: Clock
  /** Rows of the log of a new table. */
  slots: number
  legacyTtlSeconds: number
}

const removalsKeptMs = 600_000
const maxTries = 5

/**
 * Reads a table: the log, then the rows, then what the log says beyond them. The log is read first, so that whatever it forgets meanwhile stands in
 * rows that are read after. Begins the log of a new table, and a new epoch where it ends before `known`, as in a restored backup.
 */
export async function load(options: LoadOptions, known?: Readonly<Position>): Promise<{ replica: Replica; rows: TableRows }> {
  const { table, clock, legacyTtlSeconds } = options
  for (let tries = 1; tries <= maxTries; tries++) {
    const { chain, damaged } = await readChain(table)
    const rows = await readTableRows(table, true, legacyTtlSeconds)
    const head = chain.at(-1)
    const latest = [...rows.own.values()].reduce((highest, { revision }) => Math.max(highest, revision), 0)
    // What a damaged row at the end said is lost, and somebody may have seen it.
    const lost = head !== undefined && damaged.has(slotKey(head.sequence + 1, head.slots))
    if (head === undefined || lost || (known !== undefined && !goesOn(chain, head, known))) {
      await beginEpoch(options, head, Math.max(latest, head?.revision ?? 0, known?.revision ?? 0), known)
      continue
    }
    const { changes: _changes, at: _at, ...position } = head
    const replica = new Replica(position)
    replay(replica, chain, rows, clock)
    return { replica, rows }
  }
  throw new MeshError("storage_unavailable", `the log of the DynamoDB table ${table.name} cannot be begun`)
}

/** The rows of the log that follow each other without a gap, the last one last, and the slots whose row is damaged. */
async function readChain(table: Table): Promise<{ chain: LogRow[]; damaged: Set<string> }> {
  const read: LogRow[] = []
  const damaged = new Set<string>()
  for (const item of await table.range(ownService, ...slotRange)) {
    try {
      read.push(readLogRow(table.name, item))
    } catch (error) {
      if (MeshError.from(error).code === "invalid_config") throw error
      damaged.add(item["ip_address"]?.S ?? "")
    }
  }
  const generation = Math.max(...read.map((row) => row.generation))
  const rows = read.filter((row) => row.generation === generation).sort((a, b) => a.sequence - b.sequence)
  const gap = rows.findLastIndex((row, index) => index > 0 && rows[index - 1]?.sequence !== row.sequence - 1)
  return { chain: gap === -1 ? rows : rows.slice(gap), damaged }
}

/** Whether the log still holds what was known of it, or an epoch that somebody began since. */
function goesOn(chain: readonly LogRow[], head: LogRow, known: Readonly<Position>): boolean {
  if (head.generation !== known.generation) return head.generation > known.generation
  const same = chain.find((row) => row.sequence === known.sequence)
  return head.sequence >= known.sequence && (same === undefined || same.nonce === known.nonce)
}

/** Puts the first row of an epoch, unless somebody else does. */
async function beginEpoch(
  { table, clock, slots }: LoadOptions,
  head: LogRow | undefined,
  revision: number,
  known?: Readonly<Position>,
): Promise<void> {
  const row: LogRow = {
    // Later than every one before it, also where nobody remembers them.
    generation: Math.max(Math.round(clock.now()), (head?.generation ?? 0) + 1, (known?.generation ?? 0) + 1),
    epoch: randomUUID(),
    sequence: (head?.sequence ?? 0) + 1,
    revision,
    slots: head?.slots ?? slots,
    nonce: randomUUID(),
    at: Math.round(clock.now()),
    changes: [],
  }
  const values = { ":generation": { N: String(head?.generation ?? 0) } }
  await table.put(logItem(row), { expression: "attribute_not_exists(generation) OR generation <= :generation", values })
}

function replay(replica: Replica, chain: readonly LogRow[], rows: TableRows, clock: Clock): void {
  const now = clock.monotonic()
  const fresh = (at: number) => clock.now() - at < removalsKeptMs
  for (const [text, { record, revision }] of rows.own) {
    replica.records.set(text, { record, version: String(revision), revision, learnedAt: now })
  }
  const gone = rows.gone.filter(({ key, at }) => fresh(at) && !rows.own.has(keyText(key))).sort((a, b) => a.revision - b.revision)
  for (const { key, revision, cause, at } of gone) replica.removals.set(keyText(key), { key, revision, cause, learnedAt: now, at })
  for (const row of chain) {
    const revisions = revisionsOf(row)
    for (const [index, change] of row.changes.entries()) {
      const revision = revisions[index] ?? row.revision
      const text = "put" in change ? keyText(change.put) : keyText({ service: change.delete[0], id: change.delete[1] })
      const stands = replica.records.get(text)?.revision ?? 0
      if (revision <= Math.max(stands, replica.removals.get(text)?.revision ?? 0)) continue
      replica.change(change, revision, now, row.at)
    }
  }
  replica.problems.push(...[...rows.problems.values()].filter(({ key }) => !replica.records.has(key)))
  for (const [text, { at }] of replica.removals) if (!fresh(at)) replica.removals.delete(text)
}
