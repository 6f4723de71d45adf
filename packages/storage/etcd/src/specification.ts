import { readFileSync } from "node:fs"
import { formatHostPort, MeshError, parseHostPort } from "@meshwork/contract"
import type { EtcdAccess } from "./connection.ts"

const accepted = "etcd://HOST:PORT[,HOST:PORT…]/TREE, with ?tls=true, ?ca=FILE, ?cert=FILE&key=FILE where etcd wants them"

/** What follows `etcd:` in a storage's spelling, read. Throws `invalid_config`. */
export function parseEtcdSpecification(text: string): EtcdAccess & { tree: string } {
  const match = /^\/\/(?:([^@/]*)@)?([^/?]+)([^?]*)(?:\?(.*))?$/.exec(text)
  if (!match) throw invalid("it has no hosts")
  const [, user, places = "", tree = "", query] = match
  const hosts = places.split(",").map((place) => {
    const location = parseHostPort(place)
    if (location === undefined) throw invalid(`${JSON.stringify(place.slice(0, 200))} is not in HOST:PORT format`)
    return formatHostPort(location.host, location.port)
  })
  const options = new URLSearchParams(query)
  for (const name of options.keys())
    if (!["tls", "ca", "cert", "key"].includes(name)) throw invalid(`the option ${JSON.stringify(name)} is not known`)
  const [ca, cert, key] = ["ca", "cert", "key"].map((name) => readPem(options.get(name)))
  if ((cert === undefined) !== (key === undefined)) throw invalid("cert and key belong together")
  if (key !== undefined && ca === undefined) throw invalid("cert and key need ca")
  const credentials = ca && { rootCertificate: ca, ...(cert && key ? { certChain: cert, privateKey: key } : {}) }
  return {
    hosts,
    tree,
    ...(options.get("tls") === "true" ? { tls: true } : {}),
    ...(credentials === undefined ? {} : { credentials }),
    ...(user === undefined ? {} : { auth: readUser(user) }),
  }
}

function readUser(text: string): { username: string; password: string } {
  const [username = "", ...password] = text.split(":")
  if (username === "" || password.length === 0) throw invalid("who comes before @ must be USER:PASSWORD")
  try {
    return { username: decodeURIComponent(username), password: decodeURIComponent(password.join(":")) }
  } catch {
    throw invalid("USER:PASSWORD is not valid percent-encoding")
  }
}

function readPem(file: string | null): Buffer | undefined {
  if (file === null) return undefined
  try {
    return readFileSync(file)
  } catch (error) {
    throw invalid(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

function invalid(why: string): MeshError {
  return new MeshError("invalid_config", `the etcd storage cannot be found: ${why}; accepted is ${accepted}`)
}
