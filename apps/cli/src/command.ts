import type { Option } from "commander"
import type { CliContext } from "./context.ts"

/** A command as the help lists it. */
export interface CommandEntry {
  /** The words that name it, such as `service list`. */
  readonly path: readonly [string, ...string[]]
  /** One sentence for the help. */
  readonly summary: string
  load(): Promise<CommandDefinition>
}

/** What a command takes and does. */
export interface CommandDefinition {
  /** Positional arguments by name, with their description; required unless the name ends with `?`, and as many as wanted where it ends with `...?`. */
  readonly args: Readonly<Record<string, string>>
  readonly options: readonly Option[]
  /** Command lines to copy, without the word `meshwork`. */
  readonly examples: readonly string[]
  /** Does the work; a result other than undefined is the exit code, a rejection is told on stderr. */
  run(context: CliContext, options: unknown, args: readonly string[]): Promise<number | undefined>
}

/** A command that is loaded. */
export type LoadedCommand = CommandEntry & CommandDefinition

/** The entry together with what it loads. */
export async function loaded(entry: CommandEntry): Promise<LoadedCommand> {
  return { ...entry, ...(await entry.load()) }
}

/** A command with the type its options have. */
export function command<Options>(definition: {
  args?: Readonly<Record<string, string>>
  options: readonly Option[]
  examples?: readonly string[]
  run(context: CliContext, options: Options, args: readonly string[]): Promise<number | undefined>
}): CommandDefinition {
  return { args: {}, examples: [], ...definition, run: (context, options, args) => definition.run(context, options as Options, args) }
}
