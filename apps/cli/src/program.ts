import { readFileSync } from "node:fs"
import { Command } from "commander"
import { type CommandEntry, loaded, type LoadedCommand } from "./command.ts"
import { commands, groups } from "./commands/index.ts"
import type { CliContext } from "./context.ts"
import { exitCodes, reportFailure } from "./failure.ts"
import { commandOf, optionsBehindCommand } from "./option-order.ts"
import { applyVariables } from "./options.ts"

/** Version of this package. */
function version(): string {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
  return manifest.version
}

/** Runs the command line; returns the exit code. Never rejects. */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  let code: number = exitCodes.done
  try {
    const asked = withoutHelpWord(args)
    const named = commandOf(commands, asked)
    const ready = await Promise.all((named === "mixed" ? commands : named === undefined ? [] : [named]).map(loaded))
    const program = createProgram(context, ready, (result) => (code = result))
    const meant = named === undefined ? withoutGroup(asked[0] ?? "") : undefined
    if (meant !== undefined) program.error(`error: unknown command '${asked[0]}'\n(Did you mean ${meant}?)`)
    await program.parseAsync(named === "mixed" ? optionsBehindCommand(ready, asked) : asked, { from: "user" })
    return code
  } catch (error) {
    return reportFailure(context, error)
  }
}

/** `help service list` as `service list --help`. */
function withoutHelpWord(args: readonly string[]): readonly string[] {
  const at = args[0] === "help" ? 0 : args[1] === "help" && Object.hasOwn(groups, args[0] ?? "") ? 1 : -1
  return at === -1 ? args : [...args.slice(0, at), ...args.slice(at + 1), "--help"]
}

/** The command of two words that is called by the second one alone, as `list` for `service list`. */
function withoutGroup(word: string): string | undefined {
  return commands.find(({ path }) => path.length > 1 && path.at(-1) === word)?.path.join(" ")
}

/** The program with every command, of which those that are `ready` can be called; `done` hears the exit code of the one that ran. */
export function createProgram(context: CliContext, ready: readonly LoadedCommand[], done: (code: number) => void): Command {
  const program = new Command("meshwork")
    .description("A service mesh without sidecars: registry, health checks, gateway.")
    .version(version(), "-V, --version", "show the version")
    .helpOption("-h, --help", "show help")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
      getOutHelpWidth: () => context.stdout.columns ?? 100,
      getErrHelpWidth: () => context.stderr.columns ?? 100,
      getOutHasColors: () => context.colour,
      getErrHasColors: () => context.colour,
    })
    .addHelpText("after", "\nExit codes: 0 done, 1 failed, 2 wrong usage. Every option has a MESHWORK_… variable.")
    .helpCommand("help [command]", "show help for a command")
    .configureHelp({ subcommandTerm: (command) => command.name() })
  for (const entry of commands) {
    const command = addCommand(program, entry)
    const definition = ready.find(({ path }) => path.join(" ") === entry.path.join(" "))
    if (definition !== undefined) define(command, definition, context, done)
  }
  return program
}

function addCommand(program: Command, { path, summary }: CommandEntry): Command {
  let parent = program
  for (const word of path.slice(0, -1)) {
    parent = parent.commands.find((command) => command.name() === word) ?? parent.command(word).description(groups[word] ?? word)
  }
  return parent.command(path.at(-1) ?? "").description(summary)
}

function define(command: Command, definition: LoadedCommand, context: CliContext, done: (code: number) => void): void {
  for (const [name, description] of Object.entries(definition.args)) {
    command.argument(name.endsWith("?") ? `[${name.slice(0, -1)}]` : `<${name}>`, description)
  }
  for (const option of definition.options) command.addOption(option)
  if (definition.examples.length > 0) {
    command.addHelpText("after", `\nExamples:\n${definition.examples.map((line) => `  meshwork ${line}\n`).join("")}`)
  }
  command.action(async () => {
    applyVariables(command, context.env)
    const code = await definition.run(context, command.opts(), command.args)
    if (code !== undefined) done(code)
  })
}
