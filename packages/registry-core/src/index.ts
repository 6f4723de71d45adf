export { createRegistry } from "./create-registry.ts"
export type {
  CheckIn,
  HealthReport,
  HeartbeatReply,
  RegistrationSource,
  Registry,
  RegistryLimits,
  RegistryOptions,
  RegistryStatistics,
  ServiceSummary,
  Watch,
  WatchFrame,
  WatchOptions,
} from "./registry.ts"
export type { StorageDeviations } from "./storage-deviations.ts"
export type {
  Cause,
  OpResult,
  RegistryStorage,
  ServerInfo,
  SharedStorage,
  StorageChange,
  StorageNews,
  StorageOp,
  StorageProblem,
  StoredRecord,
  StoredState,
} from "./storage-port.ts"
