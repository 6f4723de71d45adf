export { createDiscoveryApi } from "./discovery-api.ts"
export type { ApiCallOptions, DiscoveryApi, DiscoveryApiOptions } from "./discovery-api.ts"
