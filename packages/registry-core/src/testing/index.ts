export { describeStorage } from "./describe-storage.ts"
export { openRegistry, sampleRegistration } from "./open-registry.ts"
export { sampleRecord } from "./sample-record.ts"
export type { DescribeStorageOptions, StorageDeviations } from "./describe-storage.ts"
