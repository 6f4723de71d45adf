export { memoryDeviations } from "./deviations.ts"
export { createMemoryStorage } from "./memory-storage.ts"
