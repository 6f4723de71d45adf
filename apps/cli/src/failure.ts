import { MeshError } from "@meshwork/contract/mesh-error"
import { CommanderError } from "commander"
import type { CliContext } from "./context.ts"
import { printable } from "./table.ts"

/** Exit codes: done, failed, wrong usage (options, variables, configuration). */
export const exitCodes = { done: 0, failed: 1, usage: 2 } as const

/** Tells on stderr what went wrong, in lines and without a stack trace; returns the exit code. */
export function reportFailure(context: CliContext, error: unknown): number {
  // commander has already written its own.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage
  if (MeshError.is(error) && "issues" in error) {
    // The errors of a configuration file, a line each.
    context.stderr.write(`${printableLines(error.message)}\n`)
    return exitCodes.usage
  }
  if (MeshError.is(error)) {
    context.stderr.write(`meshwork: ${printableLines(error.message)}\n`)
    return error.code === "invalid_config" && !fromSystem(error) ? exitCodes.usage : exitCodes.failed
  }
  context.stderr.write(`meshwork: ${printableLines(error instanceof Error ? error.message : String(error))}\n`)
  if (context.env["MESHWORK_DEBUG"] && error instanceof Error) context.stderr.write(`${error.stack}\n`)
  return exitCodes.failed
}

/** Whether the operating system refused: a taken port, a missing right. What was asked for was not wrong in itself. */
function fromSystem(error: MeshError): boolean {
  return typeof (error.cause as { code?: unknown } | undefined)?.code === "string"
}

const printableLines = (text: string) => text.split("\n").map(printable).join("\n")
