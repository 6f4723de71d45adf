export { createDynamodbStorage } from "./dynamodb-storage.ts"
export type { DynamodbStorageOptions } from "./dynamodb-storage.ts"
