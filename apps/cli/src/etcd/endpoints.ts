import { readFileSync } from "node:fs"
import { formatHostPort, MeshError, parseHostPort } from "@meshwork/contract"

/** One etcd server; the protocol only where the endpoint itself said one. */
export interface EtcdEndpoint {
  host: string
  port: number
  protocol?: "http" | "https"
}

/**
 * Endpoints, separated by commas or blanks: `host:port`, `[ipv6]:port`, or URLs. Throws `invalid_config` for anything else, and where there is none.
 */
export function parseEndpoints(text: string): EtcdEndpoint[] {
  const parts = text.split(/[\s,]+/).filter((part) => part !== "")
  if (parts.length === 0) throw new MeshError("invalid_config", 'Endpoint "" is not in HOST:PORT format')
  return parts.map((part) => {
    const [, protocol, address = ""] = /^(?:(https?):\/\/)?([^/]*)\/?$/i.exec(part) ?? []
    const location = parseHostPort(address)
    if (location === undefined) throw new MeshError("invalid_config", `Endpoint ${JSON.stringify(part.slice(0, 200))} is not in HOST:PORT format`)
    return protocol === undefined ? location : { ...location, protocol: protocol.toLowerCase() as "http" | "https" }
  })
}

/** An endpoint as one types it. */
export function endpointText({ protocol, host, port }: EtcdEndpoint): string {
  return `${protocol === undefined ? "" : `${protocol}://`}${formatHostPort(host, port)}`
}

/** The certificates of a file. `invalid_config` when it cannot be read or holds none. */
export function readCaBundle(file: string): string {
  let text: string
  try {
    text = readFileSync(file, "utf8")
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason = code === "ENOENT" ? "does not exist" : code === "EISDIR" ? "is a directory" : `cannot be read (${code})`
    throw new MeshError("invalid_config", `the CA bundle ${file} ${reason}: --ca-bundle takes a PEM file`)
  }
  if (!text.includes("-----BEGIN CERTIFICATE-----")) throw new MeshError("invalid_config", `the CA bundle ${file} holds no PEM certificate`)
  return text
}
