import type { CliContext } from "./context.ts"
import type { OutputFormat } from "./options.ts"
import { printable } from "./table.ts"

/** Writes a result: as JSON, or as the sentence that says it. */
export function writeResult(context: CliContext, format: OutputFormat, result: unknown, sentence: string): void {
  context.stdout.write(format === "json" ? `${JSON.stringify(result, null, 2)}\n` : `${printable(sentence)}\n`)
}
