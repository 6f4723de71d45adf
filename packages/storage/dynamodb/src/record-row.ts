import { type InstanceKey, type InstanceRecord, instanceRecordSchema, keyText } from "@meshwork/contract"
import type { StorageProblem } from "@meshwork/registry-core"
import { readLegacyRow } from "./legacy-row.ts"
import type { Condition, Item, RowKey } from "./table.ts"

/** A row of the table that holds an instance. */
export type RecordRow =
  | { record: InstanceRecord; revision: number }
  /** Written by lyft/discovery itself. */
  | { record: InstanceRecord; legacy: string; renewedAt: number }
  /** `row`: where it stands. */
  | { problem: StorageProblem; row: RowKey }

/**
 * An instance as a row: the whole record as JSON in `meshwork`, and beside it the attributes in which lyft/discovery's readers expect a host.
 * An empty repository is left out, since the index refuses it.
 */
export function recordItem(record: InstanceRecord, revision: number): Item {
  const { service, id, host, port, repo, zone, region, weight, canary } = record
  const tags = {
    ...record.tags,
    ...(zone === undefined ? {} : { az: zone }),
    ...(region === undefined ? {} : { region }),
    ...(weight === undefined ? {} : { load_balancing_weight: weight }),
    ...(canary === undefined ? {} : { canary }),
  }
  return {
    service: { S: service },
    ip_address: { S: id },
    host: { S: host },
    port: { N: String(port) },
    ...(record.revision === undefined ? {} : { revision: { S: record.revision } }),
    last_check_in: { S: new Date(record.registeredAt).toISOString().replace(/(\.\d{3})Z$/, "$1000+0000") },
    tags: { S: JSON.stringify(tags) },
    ...(repo === undefined || repo === "" ? {} : { service_repo_name: { S: repo } }),
    meshwork: { S: JSON.stringify(record) },
    meshwork_revision: { N: String(revision) },
  }
}

/** Holds while the row is not of a later revision. */
export function earlierThan(revision: number): Condition {
  return {
    expression: "attribute_not_exists(meshwork_revision) OR meshwork_revision < :revision",
    values: { ":revision": { N: String(revision) } },
  }
}

/** Holds while the row is of just this revision. */
export function exactly(revision: number): Condition {
  return { expression: "meshwork_revision = :revision", values: { ":revision": { N: String(revision) } } }
}

/** The row an instance stands in. */
export function rowOf({ service, id }: InstanceKey): RowKey {
  return { service, range: id }
}

/** What a row of the table holds. @param ttlSeconds the lease of lyft/discovery's own rows */
export function readRecordRow(item: Item, ttlSeconds: number): RecordRow {
  const row: RowKey = { service: item["service"]?.S ?? "", range: item["ip_address"]?.S ?? "" }
  const problem = (message: string): RecordRow => ({ problem: { key: `${row.service}/${row.range}`, message }, row })
  const text = item["meshwork"]?.S
  if (text === undefined) {
    const legacy = readLegacyRow(row, item, ttlSeconds)
    return "message" in legacy ? problem(`lyft/discovery's row: ${legacy.message}`) : { ...legacy, legacy: row.range }
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return problem(`not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  const parsed = instanceRecordSchema.safeParse(value)
  if (!parsed.success) return problem(parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "))
  if (keyText(parsed.data) !== `${row.service}/${row.range}`) return problem("the record names another instance than its key")
  const revision = Number(item["meshwork_revision"]?.N)
  return Number.isSafeInteger(revision) ? { record: parsed.data, revision } : problem("its revision is missing")
}
