import { readFileSync } from "node:fs"
import { formatIssue, loadConfig, parseConfig, type ConfigIssue, type LoadedConfig } from "@meshwork/config"
import { MeshError } from "@meshwork/contract"
import type { CliContext } from "./context.ts"
import { printable } from "./table.ts"

/** The configuration of a command that runs something: the file, or defaults where none is named. Warnings go to stderr. */
export function readConfiguration(context: CliContext, file: string | undefined): LoadedConfig {
  const { env } = context
  if (file === undefined) return parseConfig({ text: "{}", file: "defaults" }, { env })
  const config = loadConfig(file, { env })
  for (const issue of config.warnings.filter(isSurprise)) context.stderr.write(`warning: ${printable(formatIssue(issue))}\n`)
  if (config.discovery.docker !== false || config.gateway.docker !== false) {
    context.stderr.write(`warning: ${config.file}: docker is set, but this version does not watch containers\n`)
  }
  return config
}

/** A service that only a discovery server knows is usual; one that resembles a name in the file is not. */
function isSurprise(issue: ConfigIssue): boolean {
  return issue.kind !== "unknown-service" || issue.accepted !== undefined
}

/** Who may change the registry: those of the file, and the token of `MESHWORK_TOKEN` and of the file that `--token-file` names. */
export function accessTokens(context: CliContext, config: LoadedConfig, tokenFile: string | undefined): { name: string; token: string }[] {
  const own = [context.env["MESHWORK_TOKEN"] ?? "", tokenFile === undefined ? "" : readToken(tokenFile)].filter((token) => token !== "")
  const known = new Set(config.discovery.tokens.map(({ token }) => token))
  return [...config.discovery.tokens, ...[...new Set(own)].filter((token) => !known.has(token)).map((token) => ({ name: "token", token }))]
}

/** The token a command sends with changes: of the file that `--token-file` names, else of `MESHWORK_TOKEN`; undefined without either. */
export function callerToken(context: CliContext, tokenFile: string | undefined): string | undefined {
  return tokenFile === undefined ? context.env["MESHWORK_TOKEN"] || undefined : readToken(tokenFile)
}

function readToken(file: string): string {
  let text: string
  try {
    text = readFileSync(file, "utf8").trim()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason = code === "ENOENT" ? "does not exist" : code === "EISDIR" ? "is a directory" : `cannot be read (${code})`
    throw new MeshError("invalid_config", `the token file ${file} ${reason}: --token-file takes a file that holds one token`)
  }
  if (!/^[\x21-\x7e]{1,4096}$/.test(text)) throw new MeshError("invalid_config", `the token file ${file} must hold one token: text without blanks`)
  return text
}
