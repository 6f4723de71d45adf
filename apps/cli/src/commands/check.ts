import { ConfigError, type ConfigIssue, formatIssue, loadConfig } from "@meshwork/config"
import { command, type CommandDefinition } from "../command.ts"
import type { CliContext } from "../context.ts"
import { exitCodes } from "../failure.ts"
import { configOption, formatOption, type OutputFormat } from "../options.ts"
import { printable } from "../table.ts"

interface CheckOptions {
  config: string
  format: OutputFormat
}

/** `meshwork check`. */
export const checkCommand: CommandDefinition = command<CheckOptions>({
  options: [configOption("meshwork.yaml"), formatOption()],
  async run(context, options) {
    const { errors, warnings } = inspect(options.config, context)
    if (options.format === "json") {
      context.stdout.write(`${JSON.stringify({ file: options.config, valid: errors.length === 0, errors, warnings }, null, 2)}\n`)
    } else {
      for (const issue of errors) context.stdout.write(`${printable(formatIssue(issue))}\n`)
      for (const issue of warnings) context.stdout.write(`${printable(formatIssue({ ...issue, message: `warning: ${issue.message}` }))}\n`)
      context.stderr.write(`${options.config}: ${count(errors.length, "error")}, ${count(warnings.length, "warning")}\n`)
    }
    return errors.length === 0 ? exitCodes.done : exitCodes.usage
  },
})

function inspect(file: string, { env }: CliContext): { errors: readonly ConfigIssue[]; warnings: readonly ConfigIssue[] } {
  try {
    return { errors: [], warnings: loadConfig(file, { env }).warnings }
  } catch (error) {
    if (ConfigError.is(error)) return { errors: error.issues, warnings: [] }
    throw error
  }
}

const count = (number: number, what: string) => `${number === 0 ? "no" : number} ${what}${number === 1 ? "" : "s"}`
