/** One request of an attempt, without its endpoint. */
export interface Hop {
  /** URL origin it goes to. */
  readonly origin: string
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string | null
}

const redirects = new Set([301, 302, 303, 307, 308])
const credentials = ["authorization", "cookie", "proxy-authorization", "host"]
const aboutBody = ["content-type", "content-length", "content-encoding", "content-language"]

/**
 * Where an answer sends its request: undefined when it does not, or from https to http, or somewhere that is no http. Credentials stay with their
 * origin; 303, and 301 or 302 after a POST, go on as GET (RFC 9110, 15.4).
 */
export function redirectOf(hop: Hop, status: number, location: string | null): Hop | undefined {
  if (!redirects.has(status) || location === null) return undefined
  const here = new URL(hop.target, hop.origin)
  const there = URL.canParse(location, here.href) ? new URL(location, here.href) : undefined
  if (there === undefined || !(there.protocol === "https:" || (there.protocol === "http:" && here.protocol === "http:"))) return undefined
  const dropped = new Set(there.origin === here.origin ? [] : credentials)
  let { method, body } = hop
  if ((status === 303 && method !== "HEAD") || (status < 303 && method === "POST")) {
    method = "GET"
    body = null
    for (const name of aboutBody) dropped.add(name)
  }
  const headers = Object.fromEntries(Object.entries(hop.headers).filter(([name]) => !dropped.has(name)))
  return { origin: there.origin, method, target: there.pathname + there.search, headers, body }
}
