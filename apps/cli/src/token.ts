import { readFileSync } from "node:fs"
import { MeshError } from "@meshwork/contract"

/** The token a file holds. `invalid_config` when it cannot be read, or holds something else than one token. */
export function readTokenFile(file: string): string {
  let text: string
  try {
    text = readFileSync(file, "utf8").trim()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason = code === "ENOENT" ? "does not exist" : code === "EISDIR" ? "is a directory" : `cannot be read (${code})`
    throw new MeshError("invalid_config", `the token file ${file} ${reason}: --token-file takes a file that holds one token`)
  }
  if (!isToken(text)) throw new MeshError("invalid_config", `the token file ${file} must hold one token: text without blanks`)
  return text
}

/** The token that changes are sent with, if there is one. `invalid_config` when it is none. */
export function callerToken(options: { token?: string; tokenFile?: string }): string | undefined {
  if (options.token === undefined) return options.tokenFile === undefined ? undefined : readTokenFile(options.tokenFile)
  if (!isToken(options.token)) throw new MeshError("invalid_config", "the token of --token or MESHWORK_TOKEN must be text without blanks")
  return options.token
}

const isToken = (text: string) => /^[\x21-\x7e]{1,4096}$/.test(text)
