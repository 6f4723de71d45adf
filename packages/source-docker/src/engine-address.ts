import { homedir } from "node:os"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { MeshError, normalizeHost } from "@meshwork/contract"

/** Files of a client certificate. */
export interface TlsFiles {
  ca: string
  cert: string
  key: string
}

/** Where a Docker engine listens. */
export type EngineAddress =
  | { kind: "unix"; path: string }
  | { kind: "tcp"; host: string; port: number; tls?: { ca: Buffer; cert: Buffer; key: Buffer } | undefined }

export interface EngineAddressOptions {
  /** `unix://PATH`, a path, `tcp://HOST:PORT`; default the variable `DOCKER_HOST`, else the usual socket. */
  host?: string | undefined
  /** Default the variables `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`. */
  tls?: TlsFiles | undefined
  env: Readonly<Record<string, string | undefined>>
}

const usualSocket = "/var/run/docker.sock"
const accepted = "unix:///var/run/docker.sock, tcp://HOST:2375 or, with TLS, tcp://HOST:2376"

/** Finds out where the engine is, as the `docker` command does. Throws `invalid_config` for what cannot be read. */
export function engineAddress(options: EngineAddressOptions): EngineAddress {
  const { env } = options
  const text = options.host || env["DOCKER_HOST"] || `unix://${usualSocket}`
  if (text.startsWith("/")) return { kind: "unix", path: text }
  const match = /^(\w+):\/\/(.*)$/s.exec(text)
  const scheme = match?.[1] ?? ""
  if (scheme === "unix") return { kind: "unix", path: match?.[2] || usualSocket }
  if (!["tcp", "http", "https"].includes(scheme)) throw refused(text, "is not a way to reach Docker that is known here")
  const url = URL.canParse(text.replace(/^\w+/, "http")) ? new URL(text.replace(/^\w+/, "http")) : undefined
  const host = normalizeHost(url?.hostname ?? "")
  if (url === undefined || host === undefined || url.pathname.length > 1 || url.username !== "" || url.search !== "")
    throw refused(text, "is no host and port")
  // Only the configuration's files count where there are some: half of one and half of the other fit together by accident.
  const verify = options.tls !== undefined || scheme === "https" || Boolean(env["DOCKER_TLS_VERIFY"])
  const plain = !verify || scheme === "http"
  const port = explicitPort(text) ?? (plain ? 2375 : 2376)
  return { kind: "tcp", host, port, tls: plain ? undefined : readTls(options.tls ?? usualFiles(env)) }
}

/** The address for messages: `unix:///path` or `tcp://host:port`. */
export function formatEngineAddress(address: EngineAddress): string {
  if (address.kind === "unix") return `unix://${address.path}`
  const host = address.host.includes(":") ? `[${address.host}]` : address.host
  return `tcp://${host}:${address.port}`
}

/** URL leaves out a port that is usual for http, so it is read from the text. */
function explicitPort(text: string): number | undefined {
  const port = Number(/:(\d+)\/?$/.exec(text)?.[1] ?? 0)
  return port >= 1 && port <= 65_535 ? port : undefined
}

function usualFiles(env: EngineAddressOptions["env"]): TlsFiles {
  const folder = env["DOCKER_CERT_PATH"] || join(homedir(), ".docker")
  return { ca: join(folder, "ca.pem"), cert: join(folder, "cert.pem"), key: join(folder, "key.pem") }
}

function readTls(files: TlsFiles): { ca: Buffer; cert: Buffer; key: Buffer } {
  const read = (file: string): Buffer => {
    try {
      return readFileSync(file)
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "does not exist" : `cannot be read (${(error as NodeJS.ErrnoException).code})`
      throw new MeshError("invalid_config", `the file ${file}, needed to reach Docker with TLS, ${why}`, { cause: error })
    }
  }
  return { ca: read(files.ca), cert: read(files.cert), key: read(files.key) }
}

function refused(text: string, why: string): MeshError {
  const shown = text.replace(/\/\/[^/@]*@/, "//…@").slice(0, 120)
  return new MeshError("invalid_config", `the Docker address ${JSON.stringify(shown)} ${why}; accepted are ${accepted}`)
}
