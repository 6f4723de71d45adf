import type { Option } from "commander"
import type { CommandEntry, LoadedCommand } from "./command.ts"

/**
 * The arguments with the options of a command that stand before or between its words moved behind them, so that
 * `service --server URL list` is `service list --server URL`. What is no option of any command with these words stays where it is.
 */
export function optionsBehindCommand(commands: readonly LoadedCommand[], args: readonly string[]): readonly string[] {
  const words: string[] = []
  const moved: string[] = []
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? ""
    const candidates = commands.filter(({ path }) => words.every((word, at) => path[at] === word))
    if (candidates.some(({ path }) => path.length === words.length)) return [...words, ...moved, ...args.slice(index)]
    if (!arg.startsWith("-")) {
      words.push(arg)
      continue
    }
    const [flag = ""] = arg.split("=", 1)
    const option = candidates.flatMap(({ options }) => options).find((each) => isNamed(each, flag))
    if (option === undefined) return args
    moved.push(arg)
    const value = args[index + 1]
    if (!option.isBoolean() && flag === arg && value !== undefined) {
      moved.push(value)
      index++
    }
  }
  return [...words, ...moved]
}

/** The command that the arguments name with their first words. Undefined where they name none, `mixed` where an option comes before that is known. */
export function commandOf(commands: readonly CommandEntry[], args: readonly string[]): CommandEntry | "mixed" | undefined {
  const words: string[] = []
  for (const arg of args) {
    if (arg.startsWith("-")) return /^(-h|--help|-V|--version)$/.test(arg) ? undefined : "mixed"
    words.push(arg)
    const candidates = commands.filter(({ path }) => words.every((word, at) => path[at] === word))
    const found = candidates.find(({ path }) => path.length === words.length)
    if (found !== undefined || candidates.length === 0) return found
  }
  return undefined
}

/** Whether a flag is one of the option's spellings. */
function isNamed(option: Option, flag: string): boolean {
  return option.flags
    .split(/[ ,|]+/)
    .filter((part) => part.startsWith("-"))
    .includes(flag)
}
