export { configFormats, loadConfig, parseConfig } from "./load-config.ts"
export type { ConfigOptions, ConfigText, LoadedConfig } from "./load-config.ts"
export { staticInstances } from "./static-instances.ts"
export { localUrl } from "./local-url.ts"
export { ConfigError, formatIssue, formatPath } from "./issue.ts"
export type { ConfigIssue, DocumentPath, IssueKind } from "./issue.ts"
export type { Environment } from "./environment.ts"
export { balancerNames, meshConfigSchema } from "./model.ts"
export type {
  BalancerName,
  DefaultResponse,
  DiscoveryConfig,
  DockerConfig,
  GatewayConfig,
  MeshConfig,
  MeshConfigInput,
  RouteConfig,
  RouteTarget,
  StaticInstanceConfig,
} from "./model.ts"
export { maxConfigBytes } from "./read-config-file.ts"
export { parseDuration } from "./values.ts"
