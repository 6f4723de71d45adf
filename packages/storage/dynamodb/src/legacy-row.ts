import { isIP } from "node:net"
import { formatHostPort, type InstanceRecord, instanceRecordSchema, normalizeHost, recordFormat } from "@meshwork/contract"
import type { Item, RowKey } from "./table.ts"

/** A row that lyft/discovery wrote, as a record: its range key is the bare address, the id becomes `ip:port`. Its lease counts from its last check-in. */
export function readLegacyRow(row: RowKey, item: Item, ttlSeconds: number): { record: InstanceRecord; renewedAt: number } | { message: string } {
  const ip = row.range
  const host = isIP(ip) === 0 ? undefined : normalizeHost(ip)
  if (host === undefined) return { message: `its ip_address ${JSON.stringify(ip)} is no IP address` }
  const port = Number(item["port"]?.N)
  const renewedAt = readInstant(item["last_check_in"]?.S)
  if (renewedAt === undefined) return { message: `its last_check_in ${JSON.stringify(item["last_check_in"]?.S ?? null)} is no instant` }
  const sent = readTags(item["tags"])
  if (sent === undefined) return { message: "its tags are no JSON object" }
  const { az, region, load_balancing_weight: weight, canary, ...others } = sent
  const repo = item["service_repo_name"]?.S
  const revision = item["revision"]?.S
  const label = (value: unknown): value is string => typeof value === "string" && value !== ""
  const parsed = instanceRecordSchema.safeParse({
    service: row.service,
    id: formatHostPort(host, port),
    host,
    port,
    scheme: "http",
    priority: "med",
    // What is no label of ours stays a tag, so that it is shown as it was sent.
    tags: { ...others, ...(label(az) ? {} : { az: az ?? null }), ...(label(region) ? {} : { region: region ?? null }) },
    ttlSeconds,
    origin: "lyft",
    registeredAt: renewedAt,
    health: { status: "unknown", since: renewedAt, reason: "not probed yet", by: "lyft/discovery" },
    format: recordFormat,
    ...(label(az) ? { zone: az } : {}),
    ...(label(region) ? { region } : {}),
    ...(typeof weight === "number" ? { weight } : {}),
    ...(typeof canary === "boolean" ? { canary } : {}),
    ...(label(repo) ? { repo } : {}),
    ...(label(revision) ? { revision } : {}),
  })
  if (!parsed.success) return { message: parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ") }
  return { record: parsed.data, renewedAt }
}

/** Instants as Python writes them: `2016-05-27T23:42:30.000000+0000`, with a blank for the T or a colon in the offset too. */
function readInstant(text: string | undefined): number | undefined {
  const found = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:Z|([+-]\d\d):?(\d\d))?$/.exec(text ?? "")
  if (found === null) return undefined
  const [, day, time, hours = "+00", minutes = "00"] = found
  const instant = Date.parse(`${day}T${time?.replace(/(\.\d{3})\d*$/, "$1")}${hours}:${minutes}`)
  return Number.isNaN(instant) ? undefined : instant
}

function readTags(attribute: Item[string] | undefined): Record<string, unknown> | undefined {
  if (attribute === undefined || attribute.NULL === true) return {}
  if (attribute.S === undefined) return undefined
  try {
    const value: unknown = JSON.parse(attribute.S)
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}
