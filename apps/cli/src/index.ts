export { main } from "./main.ts"
export { runCli } from "./program.ts"
export type { CliContext, TextOutput } from "./context.ts"
