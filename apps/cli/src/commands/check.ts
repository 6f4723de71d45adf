import { ConfigError, type ConfigIssue, formatIssue, loadConfig, type LoadedConfig } from "@meshwork/config"
import { MeshError } from "@meshwork/contract"
import { compareWithMesh, type Finding } from "../check-against.ts"
import { lookAround, type Sighting } from "../check-surroundings.ts"
import { command, type CommandDefinition } from "../command.ts"
import type { CliContext } from "../context.ts"
import { exitCodes } from "../failure.ts"
import { configOption, formatOption, type OutputFormat, parseUrls, textOption, VariableOption } from "../options.ts"
import { withProgress } from "../progress.ts"
import { openServer } from "../server-connection.ts"
import { printable } from "../table.ts"

interface CheckOptions {
  config: string
  offline?: boolean
  against?: string[]
  format: OutputFormat
}

/** `meshwork check`. */
export const checkCommand: CommandDefinition = command<CheckOptions>({
  options: [
    configOption("meshwork.yaml"),
    new VariableOption("--against <urls>", "discovery servers of a live mesh: what is otherwise there", "MESHWORK_AGAINST").argParser(parseUrls),
    textOption("--offline", "MESHWORK_OFFLINE", "read the file only: ask neither its static instances nor Docker"),
    formatOption(),
  ],
  examples: ["check", "check -c meshwork.yaml --offline --format json", "check --against http://127.0.0.1:8008"],
  async run(context, { config: file, against, offline = false, format }) {
    if (offline && against !== undefined) throw new MeshError("invalid_config", "--offline asks nobody, and --against a live mesh: choose one")
    const { config, errors, warnings } = inspect(file, context)
    const mesh = config === undefined || against === undefined ? undefined : await compare(context, config, against)
    const seen = config === undefined || offline ? [] : await look(context, config)
    const told = warnings.filter((issue) => mesh === undefined || issue.kind !== "unknown-service")
    if (format === "json") {
      const result = { file, valid: errors.length === 0, errors, warnings: told, seen, ...(mesh === undefined ? {} : { against, mesh }) }
      context.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
    } else write(context, { file, errors, warnings: told, seen, ...(mesh === undefined ? {} : { mesh }) })
    return errors.length === 0 ? exitCodes.done : exitCodes.usage
  },
})

async function compare(context: CliContext, config: LoadedConfig, against: readonly string[]): Promise<Finding[]> {
  const connection = await openServer(context, against)
  return compareWithMesh(config, connection)
}

function look(context: CliContext, config: LoadedConfig): Promise<Sighting[]> {
  return withProgress(context, "asking what the file names", () => lookAround(context, config))
}

interface Result {
  file: string
  errors: readonly ConfigIssue[]
  warnings: readonly ConfigIssue[]
  seen: readonly Sighting[]
  mesh?: readonly Finding[]
}

function write({ stdout, stderr }: CliContext, { file, errors, warnings, seen, mesh }: Result): void {
  const line = (path: string, what: string, message: string) => printable(`${file}: ${path === "" ? "" : `${path}: `}${what}: ${message}`)
  for (const issue of errors) stdout.write(`${printable(formatIssue(issue))}\n`)
  for (const issue of warnings) stdout.write(`${printable(formatIssue({ ...issue, message: `warning: ${issue.message}` }))}\n`)
  for (const { path, message } of seen) stdout.write(`${line(path, "seen from here", message)}\n`)
  for (const { path, message } of mesh ?? []) stdout.write(`${line(path, "mesh", message)}\n`)
  const surprises = seen.length === 0 ? "" : `, ${count(seen.length, "surprise")} seen from here`
  const differences = mesh === undefined ? "" : `, ${count(mesh.length, "difference")} to the mesh`
  stderr.write(`${file}: ${count(errors.length, "error")}, ${count(warnings.length, "warning")}${surprises}${differences}\n`)
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
