import type { InstanceRecord } from "@meshwork/contract"

/** Whether two records say the same, whatever the order of their fields; who keeps the lease, and what was told of it, is no difference worth a write. */
export function sameRecord(a: InstanceRecord, b: InstanceRecord): boolean {
  return canonical(a) === canonical(b)
}

function canonical(record: InstanceRecord): string {
  const { keeper: _keeper, renewedAt: _renewed, ...rest } = record
  return JSON.stringify(rest, (_name, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([left], [right]) => (left < right ? -1 : 1)))
      : inner,
  )
}
