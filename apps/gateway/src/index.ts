export { explainConfig, runGateway } from "./main.ts"
export type { ExplainedRequest, Explanation, InstanceVerdict, RouteVerdict } from "@meshwork/gateway"
export type { RunGatewayOptions, RunningGateway } from "./main.ts"
