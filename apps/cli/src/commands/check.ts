import { ConfigError, type ConfigIssue, formatIssue, loadConfig, type LoadedConfig } from "@meshwork/config"
import { compareWithMesh, type Finding } from "../check-against.ts"
import { command, type CommandDefinition } from "../command.ts"
import type { CliContext } from "../context.ts"
import { exitCodes } from "../failure.ts"
import { configOption, formatOption, type OutputFormat, parseUrls, VariableOption } from "../options.ts"
import { createProbe } from "../probe-instances.ts"
import { withProgress } from "../progress.ts"
import { openServer } from "../server-connection.ts"
import { printable } from "../table.ts"

interface CheckOptions {
  config: string
  against?: string[]
  format: OutputFormat
}

/** `meshwork check`. */
export const checkCommand: CommandDefinition = command<CheckOptions>({
  options: [
    configOption("meshwork.yaml"),
    new VariableOption(
      "--against <urls>",
      "discovery servers of a live mesh: what is otherwise there, and which static instances do not answer",
      "MESHWORK_AGAINST",
    ).argParser(parseUrls),
    formatOption(),
  ],
  examples: ["check", "check -c meshwork.yaml --format json", "check --against http://127.0.0.1:8008"],
  async run(context, { config: file, against, format }) {
    const { config, errors, warnings } = inspect(file, context)
    const mesh = config === undefined || against === undefined ? undefined : await compare(context, config, against)
    const told = warnings.filter((issue) => mesh === undefined || issue.kind !== "unknown-service")
    if (format === "json") {
      const result = { file, valid: errors.length === 0, errors, warnings: told, ...(mesh === undefined ? {} : { against, mesh }) }
      context.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
    } else write(context, { file, errors, warnings: told, ...(mesh === undefined ? {} : { mesh }) })
    return errors.length === 0 ? exitCodes.done : exitCodes.usage
  },
})

async function compare(context: CliContext, config: LoadedConfig, against: readonly string[]): Promise<Finding[]> {
  const connection = await openServer(against)
  return withProgress(context, "asking the mesh, and every static instance", compareWithMesh(config, connection, createProbe(context.clock)))
}

interface Result {
  file: string
  errors: readonly ConfigIssue[]
  warnings: readonly ConfigIssue[]
  mesh?: readonly Finding[]
}

function write({ stdout, stderr }: CliContext, { file, errors, warnings, mesh }: Result): void {
  for (const issue of errors) stdout.write(`${printable(formatIssue(issue))}\n`)
  for (const issue of warnings) stdout.write(`${printable(formatIssue({ ...issue, message: `warning: ${issue.message}` }))}\n`)
  for (const { path, message } of mesh ?? []) stdout.write(`${printable(`${file}: ${path === "" ? "" : `${path}: `}mesh: ${message}`)}\n`)
  const differences = mesh === undefined ? "" : `, ${count(mesh.length, "difference")} to the mesh`
  stderr.write(`${file}: ${count(errors.length, "error")}, ${count(warnings.length, "warning")}${differences}\n`)
}

function inspect(file: string, { env }: CliContext): { config?: LoadedConfig; errors: readonly ConfigIssue[]; warnings: readonly ConfigIssue[] } {
  try {
    const config = loadConfig(file, { env })
    return { config, errors: [], warnings: config.warnings }
  } catch (error) {
    if (ConfigError.is(error)) return { errors: error.issues, warnings: [] }
    throw error
  }
}

const count = (number: number, what: string) => `${number === 0 ? "no" : number} ${what}${number === 1 ? "" : "s"}`
