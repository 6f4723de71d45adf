import { formatIssue, loadConfig, parseConfig, type ConfigIssue, type LoadedConfig } from "@meshwork/config"
import type { CliContext } from "./context.ts"
import { printable } from "./table.ts"
import { readTokenFile } from "./token.ts"

/** The configuration of a command that runs something: the file, or defaults where none is named. Warnings go to stderr. */
export function readConfiguration(context: CliContext, file: string | undefined): LoadedConfig {
  const { env } = context
  if (file === undefined) return parseConfig({ text: "{}", file: "defaults" }, { env })
  const config = loadConfig(file, { env })
  for (const issue of config.warnings.filter(isSurprise)) context.stderr.write(`warning: ${printable(formatIssue(issue))}\n`)
  return config
}

/** A service that only a discovery server knows is usual; one that resembles a name in the file is not. */
function isSurprise(issue: ConfigIssue): boolean {
  return issue.kind !== "unknown-service" || issue.accepted !== undefined
}

/** Who may change the registry: those of the file, and the token of `MESHWORK_TOKEN` and of the file that `--token-file` names. */
export function accessTokens(context: CliContext, config: LoadedConfig, tokenFile: string | undefined): { name: string; token: string }[] {
  const own = [context.env["MESHWORK_TOKEN"] ?? "", tokenFile === undefined ? "" : readTokenFile(tokenFile)].filter((token) => token !== "")
  const known = new Set(config.discovery.tokens.map(({ token }) => token))
  return [...config.discovery.tokens, ...[...new Set(own)].filter((token) => !known.has(token)).map((token) => ({ name: "token", token }))]
}
