export { runGateway } from "./main.ts"
export type { RunGatewayOptions, RunningGateway } from "./main.ts"
