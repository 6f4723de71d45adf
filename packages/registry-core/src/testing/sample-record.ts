import { type InstanceRecord, instanceRecordSchema } from "@meshwork/contract"

/** A valid record for tests. */
export function sampleRecord(service: string, id: string, changes: Readonly<Record<string, unknown>> = {}): InstanceRecord {
  return instanceRecordSchema.parse({
    service,
    id,
    host: "127.0.0.1",
    port: 9000,
    origin: "api",
    registeredAt: 1_700_000_000_000,
    health: { status: "unknown", since: 1_700_000_000_000, reason: "not probed yet", by: "registry" },
    format: 1,
    ...changes,
  })
}
