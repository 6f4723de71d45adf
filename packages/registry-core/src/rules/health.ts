import { type InstanceRecord, recordFormat } from "@meshwork/contract"
import type { Wish } from "../changes.ts"
import type { HealthReport } from "../registry.ts"

/**
 * What a report of a poller does to an instance: nothing where it says nothing new, or is about another process.
 * @param disproves whether a failed probe proves that a suspect is gone
 */
export function reported(current: InstanceRecord | undefined, report: HealthReport, { now, disproves }: { now: number; disproves: boolean }): Wish {
  if (current === undefined || current.format > recordFormat || (report.boot !== undefined && current.boot !== report.boot)) return undefined
  const { status, reason, by, availability, penalty } = report
  if (current.health.status === status && current.health.availability === availability) return undefined
  const since = current.health.status === status ? current.health.since : now
  const kept = current.health.status === status ? current.health.reason : reason
  const { penalty: _before, ...known } = current.health
  const measured = { ...(availability === undefined ? {} : { availability }), ...(penalty === undefined ? {} : { penalty }) }
  const health = { ...known, status, since, reason: kept, by, ...measured }
  const { suspect, ...rest } = current
  if (suspect !== undefined && status === "failing" && disproves) {
    return { delete: true, what: "expired", why: `${suspect.reason}; then a probe failed: ${reason}` }
  }
  const put = suspect === undefined ? { ...rest, health } : { ...rest, suspect, health }
  const { status: before, availability: share } = current.health
  if (before !== status) return { put, what: status, why: reason }
  return { put, what: "availability", why: `${percent(availability)} of its probes succeed, before ${percent(share)}` }
}

function percent(share: number | undefined): string {
  return share === undefined ? "an unknown share" : `${Math.round(share * 100)} %`
}
