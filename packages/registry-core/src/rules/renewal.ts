import type { InstanceRecord } from "@meshwork/contract"

/** Leases from here on are so long that a store of several servers is told of their renewals, s. */
const longLeaseSeconds = 300

/** Whether a store of several servers is to be told when the instance was heard, once per half ttl. */
export function isTold({ ttlSeconds }: Pick<InstanceRecord, "ttlSeconds">): boolean {
  return ttlSeconds >= longLeaseSeconds
}

/** What a record says of its renewal when it is written anew: `at` (Unix ms) where the store is told of it, and otherwise nothing. */
export function told(record: Pick<InstanceRecord, "ttlSeconds">, at: number): { renewedAt?: number } {
  return isTold(record) ? { renewedAt: at } : {}
}
