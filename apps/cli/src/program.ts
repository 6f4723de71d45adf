import { readFileSync } from "node:fs"
import { Command } from "commander"
import type { CommandDefinition } from "./command.ts"
import { commands, groups } from "./commands/index.ts"
import type { CliContext } from "./context.ts"
import { exitCodes, reportFailure } from "./failure.ts"
import { optionsBehindCommand } from "./option-order.ts"
import { applyVariables } from "./options.ts"

/** Version of this package. */
function version(): string {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
  return manifest.version
}

/** Runs the command line; returns the exit code. Never rejects. */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  let code: number = exitCodes.done
  const program = createProgram(context, (result) => (code = result))
  try {
    await program.parseAsync(optionsBehindCommand(commands, args), { from: "user" })
    return code
  } catch (error) {
    return reportFailure(context, error)
  }
}

/** The program with every command; `done` hears the exit code of the one that ran. */
export function createProgram(context: CliContext, done: (code: number) => void): Command {
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
  for (const definition of commands) addCommand(program, definition, context, done)
  return program
}

function addCommand(program: Command, definition: CommandDefinition, context: CliContext, done: (code: number) => void): void {
  let parent = program
  for (const word of definition.path.slice(0, -1)) {
    parent = parent.commands.find((command) => command.name() === word) ?? parent.command(word).description(groups[word] ?? word)
  }
  const command = parent.command(definition.path.at(-1) ?? "").description(definition.summary)
  for (const [name, description] of Object.entries(definition.args))
    command.argument(name.endsWith("?") ? `[${name.slice(0, -1)}]` : `<${name}>`, description)
  for (const option of definition.options) command.addOption(option)
  if (definition.examples.length > 0)
    command.addHelpText("after", `\nExamples:\n${definition.examples.map((line) => `  meshwork ${line}\n`).join("")}`)
  command.action(async () => {
    applyVariables(command, context.env)
    const code = await definition.run(context, command.opts(), command.args)
    if (code !== undefined) done(code)
  })
}
