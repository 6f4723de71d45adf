export { watchStream } from "../sources/watch-stream.ts"
export type { WatchNews, WatchStreamOptions } from "../sources/watch-stream.ts"
export { createDiscoveryApi } from "./discovery-api.ts"
export type { ApiCallOptions, DiscoveryApi, DiscoveryApiOptions } from "./discovery-api.ts"
