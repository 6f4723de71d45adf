import { type Command, InvalidArgumentError, Option } from "commander"

/** Output formats of commands with results. */
export type OutputFormat = "table" | "json"

/** An option that can also be set by variables, the first one that is set and not empty. The command line wins. */
export class VariableOption extends Option {
  readonly variables: readonly string[]
  /** Attributes of options that say the same in another way: where the command line has one of them, no variable counts. */
  instead: readonly string[] = []

  constructor(flags: string, description: string, ...variables: [string, ...string[]]) {
    super(flags, `${description} [${variables.join(", ")}]`)
    this.variables = variables
  }
}

/** Gives the options of a command that its command line leaves out the values of their variables. Ends as a wrong option does. */
export function applyVariables(command: Command, env: Readonly<Record<string, string | undefined>>): void {
  for (const option of command.options) {
    if (!(option instanceof VariableOption)) continue
    if ([option.attributeName(), ...option.instead].some((name) => command.getOptionValueSource(name) === "cli")) continue
    const variable = option.variables.find((name) => env[name] !== undefined && env[name] !== "")
    if (variable === undefined) continue
    try {
      command.setOptionValueWithSource(option.attributeName(), valueOf(option, env[variable] ?? ""), "env")
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error
      command.error(`error: the value of the variable ${variable} for the option '${option.flags}' is invalid. ${error.message}`, {
        code: "commander.invalidArgument",
      })
    }
  }
}

function valueOf(option: Option, text: string): unknown {
  if (!option.isBoolean()) return option.parseArg ? option.parseArg(text, undefined) : text
  if (/^(1|true|yes|on)$/i.test(text)) return true
  if (/^(0|false|no|off)$/i.test(text)) return undefined
  throw new InvalidArgumentError("It takes 1, true, 0 or false.")
}

/** `-c, --config`. */
export function configOption(fallback?: string): Option {
  const option = new VariableOption("-c, --config <file>", "configuration file", "MESHWORK_CONFIG")
  return fallback === undefined ? option : option.default(fallback)
}

/** `--format`: tables for people, JSON for machines. */
export function formatOption(): Option {
  return new VariableOption("--format <format>", "how results are written", "MESHWORK_FORMAT").choices(["table", "json"]).default("table")
}

/** `--server`: discovery servers by URL. */
export function serverOption(): Option {
  return new VariableOption("--server <urls>", "discovery servers, separated by commas; the next one is asked where one is down", "MESHWORK_SERVER")
    .default(["http://127.0.0.1:8008"], "http://127.0.0.1:8008")
    .argParser(parseUrls)
}

/** `--gateway`: the admin port of a gateway by URL. */
export function adminOption(): VariableOption {
  const option = new VariableOption("--gateway <url>", "admin port of a gateway", "MESHWORK_ADMIN_URL")
  option.default("http://127.0.0.1:8009").argParser((text: string) => {
    const [url = "", ...others] = parseUrls(text)
    if (others.length > 0) throw new InvalidArgumentError("It takes one URL.")
    return url
  })
  return option
}

/** `--token` and `--token-file`: what changes need where the servers have a token. */
export function tokenOptions(): Option[] {
  const token = new VariableOption("--token <token>", "token that changes need", "MESHWORK_TOKEN").conflicts("tokenFile")
  const file = new VariableOption("--token-file <file>", "file with that token", "MESHWORK_TOKEN_FILE")
  token.instead = ["tokenFile"]
  file.instead = ["token"]
  return [token, file]
}

/** A whole number within bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text)
    if (!/^\d{1,15}$/.test(text) || number < least || number > most) throw new InvalidArgumentError(`It takes a number from ${least} to ${most}.`)
    return number
  }
}

/** An option that takes a port to listen on, by the first of its variables that is set. */
export function portOption(flag: string, variable: string, description: string, ...others: string[]): Option {
  return new VariableOption(`${flag} <port>`, description, variable, ...others).argParser(parsePort)
}

/** An option that takes a text, or none at all and then is a switch. */
export function textOption(flags: string, variable: string, description: string): Option {
  return new VariableOption(flags, description, variable)
}

/** A port from 1 to 65535, or 0 for a free one. */
export function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError("It takes a port from 1 to 65535, or 0 for a free one.")
  return port
}

/** URLs separated by commas or blanks, without trailing slashes. */
export function parseUrls(text: string): string[] {
  const urls = text.split(/[\s,]+/).filter((url) => url !== "")
  for (const url of urls) {
    if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
      throw new InvalidArgumentError("It takes URLs such as http://127.0.0.1:8008, separated by commas.")
    }
  }
  if (urls.length === 0) throw new InvalidArgumentError("It takes at least one URL.")
  return urls.map((url) => url.replace(/\/+$/, ""))
}

/** `--docker`: containers are looked for. */
export function dockerOption(what: string): Option {
  return textOption("--docker", "MESHWORK_DOCKER", `${what}; DOCKER_HOST says where Docker is`)
}

/** `--advertise-host`: what stands for this machine in the registry. */
export function advertiseHostOption(): Option {
  return textOption("--advertise-host <host>", "MESHWORK_ADVERTISE_HOST", "what other machines call this one, for ports that containers publish")
}

/** The setting of a section as `--docker` changes it: the file says more than the switch. */
export function dockerSetting<T>(wanted: boolean | undefined, configured: T | false): T | false | Record<string, never> {
  return wanted === true && configured === false ? {} : configured
}
