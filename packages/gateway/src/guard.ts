import { isIPv6 } from "node:net"
import { pathFault } from "./target-path.ts"

/** What of a request the guard looks at; node:http's IncomingMessage has it. */
export interface GuardedRequest {
  readonly method: string
  readonly url: string
  readonly httpVersion: string
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[]
}

/** A request that may go on. */
export interface Admitted {
  /** Path without query, byte for byte. */
  readonly path: string
  /** Path and query, as they are sent on. */
  readonly target: string
  /** Host without port and without the dot of the root, lower-case, as routes name it. */
  readonly host: string
  /** The Host as sent; empty for an HTTP/1.0 request without one. */
  readonly authority: string
  /** Whether a body follows. */
  readonly hasBody: boolean
  /** Bytes of the body; infinite where it comes in chunks. */
  readonly bodyLength: number
  /** Whether chunks follow that must turn out to be empty. */
  readonly mustBeEmpty: boolean
}

/** An IPv6 address in brackets, or a name whose escapes hide no control character; then a port, or none (RFC 3986, 3.2.2). */
const hostPattern = /^(?:\[([0-9a-f:.]+)\]|(?:[\w.~!$&'()*+;=-]|%(?![01]|7f)[0-9a-f]{2})+)(?::\d{0,5})?$/i
const absolutePattern = /^https?:\/\/([^/?]+)(.*)$/i
const maxHeaders = 1000

/**
 * Holds the head of a request against what a proxy may pass on, beyond what node:http checks: one Host that agrees with the target, framing that
 * every parser reads alike, no dot segments in any encoding. Yields a sentence for the client when it must be refused.
 * @param allowBody whether GET and HEAD of a host and path may have a body; default never, since backends disagree about where such a request ends
 */
export function admit(request: GuardedRequest, allowBody: (method: string, host: string, path: string) => boolean = () => false): Admitted | string {
  const { method, url, httpVersion, rawHeaders } = request
  if (httpVersion !== "1.1" && httpVersion !== "1.0") return `HTTP/${httpVersion} is not spoken here`
  if (rawHeaders.length > 2 * maxHeaders) return `more than ${maxHeaders} headers`
  let authority: string | undefined
  let length: string | undefined
  let encoding: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    // Comparing lengths first keeps ordinary headers cheap.
    if (name.length === 4 && name.toLowerCase() === "host") {
      if (authority !== undefined) return "more than one Host header"
      authority = rawHeaders[index + 1]
    } else if (name.length === 14 && name.toLowerCase() === "content-length") {
      if (length !== undefined) return "more than one Content-Length header"
      length = rawHeaders[index + 1]
    } else if (name.length === 17 && name.toLowerCase() === "transfer-encoding") {
      if (encoding !== undefined) return "more than one Transfer-Encoding header"
      encoding = rawHeaders[index + 1]
    }
  }
  const fault = framingFault(httpVersion, length, encoding) ?? hostFault(authority, httpVersion)
  if (fault !== undefined) return fault
  let target = url
  if (url.charCodeAt(0) !== 47) {
    const absolute = absolutePattern.exec(url)
    if (absolute !== null) {
      const named = absolute[1] as string
      if (authority === undefined ? !isAuthority(named) : bareHost(named) !== bareHost(authority))
        return "the request target and the Host header name different hosts"
      authority ??= named
      const rest = absolute[2] as string
      // Without a path OPTIONS is about the server itself (RFC 9112, 3.2.4).
      target = rest === "" && method === "OPTIONS" ? "*" : rest.charCodeAt(0) === 47 ? rest : `/${rest}`
    } else if (method === "CONNECT") return "CONNECT is not served here"
    else if (method !== "OPTIONS" || url !== "*") return "the request target is neither a path nor a URL"
  }
  const query = target.indexOf("?")
  const path = query === -1 ? target : target.slice(0, query)
  const targetFault = pathFault(path) ?? (query === -1 ? undefined : queryFault(target, query))
  if (targetFault !== undefined) return targetFault
  const bodyLength = encoding !== undefined ? Number.POSITIVE_INFINITY : length === undefined ? 0 : Number(length)
  const hasBody = bodyLength > 0
  const host = authority === undefined ? "" : hostName(authority)
  const mustBeEmpty = hasBody && (method === "GET" || method === "HEAD" || method === "TRACE") && !allowBody(method, host, path)
  if (mustBeEmpty && encoding === undefined) return `${method} with a body`
  return { path, target, host, authority: authority ?? "", hasBody: hasBody && !mustBeEmpty, bodyLength, mustBeEmpty }
}

function framingFault(httpVersion: string, length: string | undefined, encoding: string | undefined): string | undefined {
  if (length !== undefined && !/^0*\d{1,15}$/.test(length)) return "the Content-Length is not one number"
  if (encoding === undefined) return undefined
  if (encoding.toLowerCase() !== "chunked") return "the Transfer-Encoding is not chunked"
  if (httpVersion === "1.0") return "HTTP/1.0 has no Transfer-Encoding"
  return length === undefined ? undefined : "both Transfer-Encoding and Content-Length"
}

function hostFault(host: string | undefined, httpVersion: string): string | undefined {
  if (host === undefined) return httpVersion === "1.1" ? "no Host header" : undefined
  return host === "" || isAuthority(host) ? undefined : "the Host header is not host:port"
}

function isAuthority(text: string): boolean {
  const parts = hostPattern.exec(text)
  if (parts === null || (parts[1] !== undefined && !isIPv6(parts[1]))) return false
  const colon = text.lastIndexOf(":")
  return colon === -1 || text.length - colon < 6 || text.endsWith("]") || Number(text.slice(colon + 1)) <= 65_535
}

function queryFault(target: string, from: number): string | undefined {
  if (target.includes("#", from)) return "the target has a fragment (#)"
  return /[^\x21-\x7e\x80-\xff]/.test(target.slice(from)) ? "the query has a blank or a control character" : undefined
}

function bareHost(host: string): string {
  return host.toLowerCase().replace(/:(?:80)?$/, "")
}

function hostName(host: string): string {
  const colon = host.lastIndexOf(":")
  const name = (colon > host.lastIndexOf("]") ? host.slice(0, colon) : host).toLowerCase()
  return name.endsWith(".") ? name.slice(0, -1) : name
}
