import { createHash, timingSafeEqual } from "node:crypto"
import { isIPv4 } from "node:net"
import { MeshError, normalizeHost } from "@meshwork/contract"

/** A token that may change the registry; its name goes into the journal. */
export interface AccessToken {
  name: string
  token: string
}

/** Says who may change the registry: the name of the caller, or throws `unauthorized`. */
export type Authorize = (authorization: string | undefined, remoteAddress: string | undefined) => string

const digest = (text: string) => createHash("sha256").update(text).digest()

/**
 * Without tokens everyone may, under the name of their address. With tokens `Authorization: Bearer` must carry one of
 * them, compared over digests and against every one of them, so that the time taken tells nothing.
 */
export function createAuthorize(tokens: readonly AccessToken[]): Authorize {
  if (tokens.length === 0) return (_, remoteAddress) => `api ${remoteAddress ?? "unknown"}`
  for (const { name, token } of tokens) {
    if (name === "" || token === "") throw new MeshError("invalid_config", "a token needs a name, and a text that is not empty")
  }
  if (new Set(tokens.map(({ token }) => token)).size < tokens.length) {
    throw new MeshError("invalid_config", "two tokens have the same text, so the journal could not tell their names apart")
  }
  const known = tokens.map(({ name, token }) => ({ name, digest: digest(token) }))
  return (authorization) => {
    const given = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1]
    if (given === undefined) throw new MeshError("unauthorized", "this changes the registry and needs the header Authorization: Bearer TOKEN")
    const actual = digest(given)
    let caller: string | undefined
    for (const entry of known) if (timingSafeEqual(entry.digest, actual)) caller = entry.name
    if (caller === undefined) throw new MeshError("unauthorized", "the token is not one of this server's")
    return caller
  }
}

/** Whether only this machine can reach a server that binds to `host`. */
export function isLoopback(host: string): boolean {
  const normal = normalizeHost(host)
  return normal === "localhost" || normal === "::1" || (normal !== undefined && isIPv4(normal) && normal.startsWith("127."))
}

/** Refuses to be open to others without a token. Throws `invalid_config`. */
export function assertGuarded(options: { host: string; tokens: readonly AccessToken[]; insecure: boolean }): void {
  if (options.insecure || options.tokens.length > 0 || isLoopback(options.host)) return
  throw new MeshError(
    "invalid_config",
    `everyone who reaches ${options.host} could change the registry: set a token (--token-file or MESHWORK_TOKEN), bind to 127.0.0.1 (--host), or say --insecure`,
  )
}
