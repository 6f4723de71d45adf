import { X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { createSecureContext } from "node:tls"
import type { MeshConfig } from "@meshwork/config"
import { type Clock, MeshError } from "@meshwork/contract"
import type { Gateway, KeyPair, UpstreamTls } from "@meshwork/gateway"
import { watchFiles } from "./watched-files.ts"

type TlsConfig = NonNullable<MeshConfig["gateway"]["tls"]>
type UpstreamConfig = MeshConfig["gateway"]["upstreamTls"]

/** The certificate and the key of the data port, read from their files. Throws `invalid_config` with the name of the file that is at fault. */
export function readPair({ cert, key }: TlsConfig): KeyPair {
  const pair = { cert: readCertificates(cert, "gateway.tls.cert"), key: readPem(key, "gateway.tls.key") }
  try {
    createSecureContext(pair)
  } catch (error) {
    throw new MeshError("invalid_config", `gateway.tls: ${cert} and ${key} are no pair: ${(error as Error).message}`)
  }
  return pair
}

/** Judges of the certificates of https instances, with the authorities read from their files. Throws `invalid_config`. */
export class UpstreamJudges {
  #config: UpstreamConfig
  #authorities: ReadonlyMap<string, string>

  constructor(config: UpstreamConfig) {
    this.#config = config
    this.#authorities = readAuthorities(config)
  }

  get paths(): string[] {
    return [...this.#authorities.keys()]
  }

  /** Reads everything anew; throws, and goes by what was read before, where something is wrong. */
  read(config: UpstreamConfig = this.#config): void {
    this.#authorities = readAuthorities(config)
    this.#config = config
  }

  of(service: string): UpstreamTls | undefined {
    const { ca: usual, services } = this.#config
    const own = Object.hasOwn(services, service) ? services[service] : undefined
    const path = own?.ca ?? usual
    if (path === undefined && own === undefined) return undefined
    return { ca: path === undefined ? undefined : this.#authorities.get(path), serverName: own?.serverName, insecure: own?.insecure }
  }
}

export interface FollowCertificatesOptions {
  tls: TlsConfig | undefined
  judges: UpstreamJudges
  gateway: Pick<Gateway, "setTls" | "renewUpstreamTls">
  clock: Clock
  log: (level: "info" | "warn" | "error", message: string) => void
}

/** Goes by the files of certificates as they change; one that is at fault is told of, and the one before stays. */
export function followCertificates({ tls, judges, gateway, clock, log }: FollowCertificatesOptions): { close(): Promise<void> } {
  const attempt = (what: string, work: () => string): void => {
    try {
      log("info", work())
    } catch (error) {
      log("error", `${what} changed and cannot be used, so what was read before stays in use: ${(error as Error).message}`)
    }
  }
  const pair = (files: TlsConfig): string => {
    const read = readPair(files)
    gateway.setTls(read)
    return `the certificate of the data port is a new one, valid until ${validity(read.cert)}`
  }
  const authorities = (): string => {
    judges.read()
    gateway.renewUpstreamTls()
    return "the authorities of https instances are new ones"
  }
  const judged = watchFiles({ paths: () => judges.paths, clock, onChange: () => attempt(judges.paths.join(", "), authorities) })
  const own = tls && watchFiles({ paths: () => [tls.cert, tls.key], clock, onChange: () => attempt(`${tls.cert} or ${tls.key}`, () => pair(tls)) })
  return {
    async close() {
      await Promise.all([judged.close(), own?.close()])
    },
  }
}

/** Until when a certificate is valid, as a date. */
export function validity(cert: string): string {
  return new X509Certificate(cert).validToDate.toISOString()
}

function readAuthorities({ ca, services }: UpstreamConfig): Map<string, string> {
  const named = Object.entries(services).map(([service, own]) => [own.ca, `gateway.upstreamTls.services.${service}.ca`] as const)
  const files = new Map<string, string>()
  for (const [path, key] of [[ca, "gateway.upstreamTls.ca"] as const, ...named]) {
    if (path !== undefined && !files.has(path)) files.set(path, readCertificates(path, key))
  }
  return files
}

function readCertificates(path: string, key: string): string {
  const text = readPem(path, key)
  try {
    validity(text)
  } catch {
    throw new MeshError("invalid_config", `${key}: ${path} holds no certificate in PEM form`)
  }
  return text
}

function readPem(path: string, key: string): string {
  try {
    const text = readFileSync(path, "utf8")
    if (text.trim() !== "") return text
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === "ENOENT" ? "does not exist" : code === "EACCES" ? "may not be read by this user" : `cannot be read (${code})`
    // A name of nothing, or of a folder, is a mistake of the configuration; only what the system refuses has a cause outside of it.
    const mistaken = code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR"
    throw new MeshError("invalid_config", `${key}: ${path} ${why}`, mistaken ? {} : { cause: error })
  }
  throw new MeshError("invalid_config", `${key}: ${path} is empty`)
}
