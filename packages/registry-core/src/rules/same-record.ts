import type { InstanceRecord } from "@meshwork/contract"

/** Fields that are no difference worth a write: who keeps the lease, and what was told of it. */
const unseen: ReadonlySet<string> = new Set(["keeper", "renewedAt"])
const none: ReadonlySet<string> = new Set()

/** Whether two records say the same, whatever the order of their fields; who keeps the lease, and what was told of it, is no difference worth a write. */
export function sameRecord(a: InstanceRecord, b: InstanceRecord): boolean {
  return sameFields(a, b, unseen)
}

/** Compares values of JSON; a field that is undefined counts as absent. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (!Array.isArray(a) && !Array.isArray(b)) return sameFields(a as Fields, b as Fields, none)
  return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => same(item, b[index]))
}

type Fields = Readonly<Record<string, unknown>>

function sameFields(a: Fields, b: Fields, without: ReadonlySet<string>): boolean {
  let left = 0
  for (const name of Object.keys(a)) {
    const value = a[name]
    if (value === undefined || without.has(name)) continue
    if (!Object.hasOwn(b, name) || !same(value, b[name])) return false
    left++
  }
  for (const name of Object.keys(b)) if (b[name] !== undefined && !without.has(name)) left--
  return left === 0
}
