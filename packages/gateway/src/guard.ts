import { headerKind } from "./header-kind.ts"

/** A request the gateway may look at further. */
export interface Inspected {
  refusal?: undefined
  /** Path and query in origin form, as sent. */
  target: string
  /** The path alone, byte for byte; `*` for OPTIONS of the server itself. */
  path: string
  /** Lower-case and without port; empty where HTTP/1.0 named none. */
  host: string
  /** -1 when there is no such header. */
  contentLength: number
  chunked: boolean
  /** Whether a body that is not empty follows. */
  hasBody: boolean
  /** Whether this is GET, HEAD or TRACE with a body, which only a route can allow. */
  unexpectedBody: boolean
}

/** Why a request goes no further, as a sentence. */
export interface Refusal {
  refusal: string
}

const refuse = (refusal: string): Refusal => ({ refusal })

/** Whether anything in a target needs a closer look; most have nothing. */
const unusual = /[#\\%]|[^\x21-\x7e]|\/\./
const forbiddenAnywhere = /#|[^\x21-\x7e]/
const malformedEscape = /%(?![0-9a-f]{2})/i
const forbiddenInPath = /\\|%(?:[01][0-9a-f]|7f|5c)/i
const dotSegment = /(?:^|\/)\.\.?(?:\/|$)/
const absoluteForm = /^https?:\/\/([^/?#]*)(.*)$/i
const validHost = /^(?:\[[0-9a-f:.]+\]|[\w.~!$&'()*+;=%-]*)(?::\d{0,5})?$/i
const digits = /^\d{1,15}$/

/**
 * Refuses what node:http lets through and a proxy must not: ambiguous framing, more than one Host or another one than the target
 * names, hidden dot segments and control characters (RFC 9110, RFC 9112). Pure; looks at the head only.
 */
export function inspect(method: string, url: string, rawHeaders: readonly string[], httpVersion: string): Inspected | Refusal {
  if (httpVersion !== "1.1" && httpVersion !== "1.0") return refuse(`HTTP/${httpVersion} is not spoken here; use HTTP/1.1`)
  if (method === "CONNECT") return refuse("CONNECT is not offered here")
  let hostHeader: string | undefined
  let contentLength = -1
  let chunked = false
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const value = rawHeaders[index + 1] ?? ""
    switch (headerKind(rawHeaders[index] ?? "")) {
      case "host":
        if (hostHeader !== undefined) return refuse("more than one Host header")
        hostHeader = value
        break
      case "content-length":
        if (contentLength !== -1) return refuse("more than one Content-Length header")
        if (!digits.test(value)) return refuse("Content-Length is not a plain number")
        contentLength = Number(value)
        break
      case "transfer-encoding":
        if (chunked) return refuse("more than one Transfer-Encoding header")
        if (httpVersion === "1.0") return refuse("Transfer-Encoding with HTTP/1.0")
        if (value.trim().toLowerCase() !== "chunked") return refuse("Transfer-Encoding other than chunked")
        chunked = true
        break
      default:
    }
  }
  if (chunked && contentLength !== -1) return refuse("Transfer-Encoding together with Content-Length")
  if (hostHeader === undefined && httpVersion === "1.1") return refuse("the Host header is missing")
  if (hostHeader !== undefined && !validHost.test(hostHeader)) return refuse("the Host header is not a host and a port")
  const target = readTarget(method, url, hostHeader)
  if (typeof target !== "string") return target
  const query = target.indexOf("?")
  const path = query === -1 ? target : target.slice(0, query)
  if (unusual.test(target)) {
    const why = lookCloser(target, path)
    if (why !== undefined) return refuse(why)
  }
  const hasBody = chunked || contentLength > 0
  const unexpectedBody = hasBody && (method === "GET" || method === "HEAD" || method === "TRACE")
  return { target, path, host: hostName(hostHeader ?? ""), contentLength, chunked, hasBody, unexpectedBody }
}

/** The target in origin form, or why it has none. */
function readTarget(method: string, url: string, hostHeader: string | undefined): string | Refusal {
  if (url.startsWith("/")) return url
  if (url === "*") return method === "OPTIONS" ? url : refuse("the target * is for OPTIONS only")
  const match = absoluteForm.exec(url)
  if (!match) return refuse("the target is neither a path nor an http URL")
  const [, authority = "", rest = ""] = match
  if (authority === "" || authority.includes("@")) return refuse("the target's authority is not a host and a port")
  if (hostHeader !== undefined && authority.toLowerCase() !== hostHeader.toLowerCase()) return refuse("the target names another host than the Host header")
  return rest.startsWith("/") ? rest : `/${rest}`
}

function lookCloser(target: string, path: string): string | undefined {
  if (forbiddenAnywhere.test(target)) return "the target has a character that must be percent-encoded"
  if (malformedEscape.test(path)) return "the path has a malformed percent-encoding"
  if (forbiddenInPath.test(path)) return "the path has a backslash or a control character"
  if (dotSegment.test(path.replace(/%2e/gi, ".").replace(/%2f/gi, "/"))) return "the path has a dot segment"
  return undefined
}

function hostName(host: string): string {
  const end = host.startsWith("[") ? host.indexOf("]") + 1 : host.indexOf(":")
  return (end <= 0 ? host : host.slice(0, end)).toLowerCase()
}
