import type { Option } from "commander"
import type { LoadedCommand } from "./command.ts"

/** Shells there are scripts for. */
export const shells = ["bash", "zsh", "fish"] as const
export type Shell = (typeof shells)[number]

/** What can follow certain words of a command line. */
interface Place {
  /** Words typed so far, without `meshwork`. */
  words: string
  subcommands: { name: string; text: string }[]
  options: { flags: string[]; text: string; takesValue: boolean; files: boolean; choices: readonly string[] }[]
}

/** A script that completes commands, options and their values in a shell. */
export function completionScript(shell: Shell, commands: readonly LoadedCommand[], groups: Readonly<Record<string, string>>): string {
  const places = placesOf(commands, groups)
  return shell === "fish" ? fish(places) : shell === "zsh" ? zsh(places) : bash(places)
}

function placesOf(commands: readonly LoadedCommand[], groups: Readonly<Record<string, string>>): Place[] {
  const first = new Map(commands.map(({ path, summary }) => [path[0], path.length === 1 ? summary : (groups[path[0]] ?? "")]))
  const help = { flags: ["-h", "--help"], text: "show help", takesValue: false, files: false, choices: [] }
  const places: Place[] = [
    {
      words: "",
      subcommands: [...first].map(([name, text]) => ({ name, text })),
      options: [help, { ...help, flags: ["-V", "--version"], text: "show the version" }],
    },
  ]
  for (const group of Object.keys(groups)) {
    const subcommands = commands.filter(({ path }) => path[0] === group && path.length === 2)
    places.push({ words: group, subcommands: subcommands.map(({ path, summary }) => ({ name: path[1] ?? "", text: summary })), options: [help] })
  }
  for (const { path, options } of commands) {
    places.push({ words: path.join(" "), subcommands: [], options: [...options.map(described), help] })
  }
  return places
}

function described(option: Option): Place["options"][number] {
  const flags = option.flags.split(/[ ,|]+/).filter((part) => part.startsWith("-"))
  const text = option.description.replace(/ \[[^\]]*\]$/, "")
  return { flags, text, takesValue: !option.isBoolean(), files: /<file>/.test(option.flags), choices: option.argChoices ?? [] }
}

/** Text within single quotes of a POSIX shell. */
const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`

function bash(places: readonly Place[]): string {
  const valued = [...new Set(places.flatMap(({ options }) => options.filter(({ takesValue }) => takesValue).flatMap(({ flags }) => flags)))]
  const groups = places.filter(({ words, subcommands }) => words !== "" && subcommands.length > 0).map(({ words }) => words)
  const values = new Map<string, string>()
  for (const { flags, choices, files } of places.flatMap(({ options }) => options)) {
    if (choices.length > 0) for (const flag of flags) values.set(flag, `COMPREPLY=($(compgen -W ${quoted(choices.join(" "))} -- "$word"))`)
    else if (files) for (const flag of flags) values.set(flag, 'COMPREPLY=($(compgen -f -- "$word"))')
  }
  const cases = places.map(({ words, subcommands, options }) => {
    const all = [...subcommands.map(({ name }) => name), ...options.flatMap(({ flags }) => flags.filter((flag) => flag.startsWith("--")))]
    return `    ${quoted(words)}) COMPREPLY=($(compgen -W ${quoted(all.join(" "))} -- "$word")) ;;\n`
  })
  return `# Completion of meshwork for bash: source it, or put it into /etc/bash_completion.d
_meshwork() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" path="" skip="" each
  COMPREPLY=()
  for each in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "$skip" ]; then skip=""; continue; fi
    case "$each" in
      ${valued.join("|")}) skip=1 ;;
      -*) ;;
      *) case "$path" in
        '') path="$each" ;;
        ${groups.map(quoted).join("|")}) path="$path $each" ;;
      esac ;;
    esac
  done
  case "$before" in
${[...values].map(([flag, reply]) => `    ${flag}) ${reply}; return ;;\n`).join("")}    ${valued.filter((flag) => !values.has(flag)).join("|")}) return ;;
  esac
  case "$path" in
${cases.join("")}  esac
}
complete -F _meshwork meshwork
`
}

function zsh(places: readonly Place[]): string {
  const escape = (text: string) => text.replaceAll(/[[\]:\\]/g, String.raw`\$&`)
  const cases = places.map(({ words, subcommands, options }) => {
    const specs = options.map(({ flags, text, takesValue, files, choices }) => {
      const value = takesValue ? `:value:${choices.length > 0 ? `(${choices.join(" ")})` : files ? "_files" : ""}` : ""
      const names = flags.length === 1 ? quoted(flags[0] ?? "") : `{${flags.join(",")}}`
      return `${names}${quoted(`[${escape(text)}]${value}`)}`
    })
    const names = subcommands.map(({ name, text }) => quoted(`${name}:${escape(text)}`))
    const describe = names.length === 0 ? "" : `      local -a found=(${names.join(" ")}); _describe 'command' found\n`
    return `    ${quoted(words)})\n${describe}      _arguments ${specs.join(" ")} '*: :' ;;\n`
  })
  const groups = places.filter(({ words, subcommands }) => words !== "" && subcommands.length > 0).map(({ words }) => quoted(words))
  return `#compdef meshwork
# Completion of meshwork for zsh: put it into a folder of $fpath as _meshwork, or source it after compinit
_meshwork() {
  local path_="" each
  for each in "\${(@)words[2,CURRENT-1]}"; do
    case "$each" in
      -*) ;;
      *) case "$path_" in
        '') path_="$each" ;;
        ${groups.join("|")}) path_="$path_ $each" ;;
      esac ;;
    esac
  done
  # What follows are the options of this command alone.
  local -a typed=(\${=path_})
  words=(meshwork "\${(@)words[$#typed+2,-1]}")
  (( CURRENT -= $#typed ))
  case "$path_" in
${cases.join("")}  esac
}
if [ "$funcstack[1]" = "_meshwork" ]; then _meshwork "$@"; else compdef _meshwork meshwork; fi
`
}

function fish(places: readonly Place[]): string {
  const escape = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", String.raw`\'`)}'`
  const groups = places.filter(({ words, subcommands }) => words !== "" && subcommands.length > 0).map(({ words }) => words)
  const lines = places.flatMap(({ words, subcommands, options }) => {
    const here = `complete -c meshwork -n ${escape(`__meshwork_at ${words}`.trimEnd())}`
    const flagged = options.map(({ flags, text, takesValue, files, choices }) => {
      const names = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)).join(" ")
      const value = takesValue ? (files ? " -r -F" : choices.length > 0 ? ` -x -a ${escape(choices.join(" "))}` : " -x") : ""
      return `${here} ${names}${value} -d ${escape(text)}\n`
    })
    return [...subcommands.map(({ name, text }) => `${here} -a ${name} -d ${escape(text)}\n`), ...flagged]
  })
  return `# Completion of meshwork for fish: put it into ~/.config/fish/completions/meshwork.fish
function __meshwork_at
  set -l typed
  for each in (commandline -opc)[2..]
    string match -q -- '-*' $each; or set -a typed $each
  end
  contains -- "$typed[1]" ${groups.join(" ")}; and set typed $typed[1..2]; or set typed $typed[1]
  test "$typed" = "$argv"
end
complete -c meshwork -f
${lines.join("")}`
}
