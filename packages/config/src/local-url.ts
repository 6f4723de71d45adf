import { formatHostPort } from "@meshwork/contract"

/** The URL under which this machine reaches a server that is bound to `host`; every address is reached over loopback. */
export function localUrl(host: string, port: number): string {
  const own = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host
  return `http://${formatHostPort(own, port)}`
}
