/** What of a request the guard looks at. */
export interface GuardedRequest {
  method: string
  url: string
  httpVersion: string
  rawHeaders: readonly string[]
}

/** A request that may go on. */
export interface Admitted {
  /** Path without query, byte for byte. */
  path: string
  /** Path and query, as they are forwarded. */
  target: string
  /** Host name without port, lower-case. */
  host: string
  /** Whether a body follows. */
  hasBody: boolean
}

const absoluteForm = /^(https?):\/\/([^/?#]*)([/?][^#]*)?$/i
const hostHeader = /^(?:\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._~!$&'()*+;=%-]*))(?::\d{1,5})?$/i
const plain = /^[\x21-\x7e]+$/
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const control = /[\x00-\x1f\x7f\\]/

/**
 * Refuses what node:http lets through and a proxy must not pass on; a text says why. Everything that decides where a message ends, and
 * everything that could be read as another path further on, has to be unambiguous.
 */
export function admit(request: GuardedRequest, allowBody: (path: string) => boolean = () => false): Admitted | string {
  const framing = readFraming(request)
  if (typeof framing === "string") return framing
  const located = locate(request, framing.host)
  if (typeof located === "string") return located
  const mark = located.target.indexOf("?")
  const path = mark < 0 ? located.target : located.target.slice(0, mark)
  const wrong = wrongPath(path)
  if (wrong !== undefined) return wrong
  const { hasBody } = framing
  if (hasBody && (request.method === "GET" || request.method === "HEAD") && !allowBody(path)) return `${request.method} with a body`
  return { path, target: located.target, host: hostName(located.host), hasBody }
}

function readFraming(request: GuardedRequest): { host: string | undefined; hasBody: boolean } | string {
  let host: string | undefined
  let length: string | undefined
  let encoding: string | undefined
  const { rawHeaders } = request
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    // Comparing lengths first keeps ordinary headers cheap.
    if (name.length === 4 && name.toLowerCase() === "host") {
      if (host !== undefined) return "more than one Host header"
      host = rawHeaders[index + 1]
    } else if (name.length === 14 && name.toLowerCase() === "content-length") {
      if (length !== undefined) return "more than one Content-Length header"
      length = rawHeaders[index + 1] as string
    } else if (name.length === 17 && name.toLowerCase() === "transfer-encoding") {
      if (encoding !== undefined) return "more than one Transfer-Encoding header"
      encoding = rawHeaders[index + 1] as string
    }
  }
  if (encoding !== undefined) {
    if (length !== undefined) return "both Transfer-Encoding and Content-Length"
    if (request.httpVersion !== "1.1") return `Transfer-Encoding on HTTP/${request.httpVersion}`
    if (encoding.toLowerCase() !== "chunked") return "a Transfer-Encoding other than chunked"
  }
  if (length !== undefined && !/^\d{1,15}$/.test(length)) return "a Content-Length that is no number"
  return { host, hasBody: encoding !== undefined || (length !== undefined && Number(length) > 0) }
}

function locate(request: GuardedRequest, host: string | undefined): { target: string; host: string } | string {
  const { url, method, httpVersion } = request
  if (httpVersion !== "1.1" && httpVersion !== "1.0") return `HTTP/${httpVersion}`
  if (method === "CONNECT") return "CONNECT"
  if (host === undefined ? httpVersion === "1.1" : !hostHeader.test(host)) return "a Host header that names no host"
  if (!plain.test(url)) return "characters in the target that do not belong there"
  if (url.includes("#")) return "a fragment in the target"
  if (url === "*") return method === "OPTIONS" ? { target: url, host: host ?? "" } : "the target *"
  if (url.startsWith("/")) return { target: url, host: host ?? "" }
  const absolute = absoluteForm.exec(url)
  const authority = absolute?.[2]
  if (!absolute || !authority || !hostHeader.test(authority)) return "a target that is no path"
  if (host !== undefined && authority.toLowerCase() !== host.toLowerCase()) return "a target for another host than the Host header names"
  const rest = absolute[3] ?? "/"
  return { target: rest.startsWith("/") ? rest : `/${rest}`, host: authority }
}

/** Dot segments, separators and control characters in any encoding: whoever decodes further on must not see another path. */
function wrongPath(path: string): string | undefined {
  if (!path.includes("%")) {
    if (path.includes("\\")) return "a backslash in the path"
    return path.includes("/.") && hasDotSegment(path) ? "a dot segment in the path" : undefined
  }
  if (/%(?![0-9a-f]{2})/i.test(path)) return "a broken percent-encoding in the path"
  const decoded = path.replace(/%([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  if (control.test(decoded)) return "a control character or backslash in the path"
  return hasDotSegment(decoded) ? "a dot segment in the path" : undefined
}

function hasDotSegment(path: string): boolean {
  return path.split("/").some((segment) => segment === "." || segment === "..")
}

function hostName(host: string): string {
  return (host.startsWith("[") ? host.slice(0, host.indexOf("]") + 1) : host.split(":", 1)[0] ?? "").toLowerCase()
}
