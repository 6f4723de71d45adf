export { createDynamodbStorage } from "./dynamodb-storage.ts"
export { dynamodbDeviations } from "./deviations.ts"
export { parseDynamodbSpecification } from "./specification.ts"
export type { DynamodbStorageOptions } from "./dynamodb-storage.ts"
