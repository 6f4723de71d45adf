/** One request, or several on one connection, as raw bytes and what the edge has to do with it. */
export interface EdgeCase {
  name: string
  bytes: Buffer
  /** `refuse`: nothing reaches a backend and the connection ends; `pass`: it reaches one, as `expect` says. */
  verdict: "refuse" | "pass"
  /** For `pass`: what the backend sees. */
  expect?: Expectation
}

/** What a backend sees of a request, byte for byte; what is left out is named at it. */
export interface Expectation {
  /** Default: that of the request. */
  method?: string
  /** Default: that of the request. */
  url?: string
  /** Default: none. */
  body?: string
  /** Value of Host; default `edge.test`. */
  host?: string
  /** Header lines apart from framing, Host and what the gateway says itself, in their order; default: none. */
  headers?: readonly string[]
  /** Whether the body comes in chunks; default: whichever way. */
  chunked?: boolean
  /** What the caller gets to see; default 200. */
  status?: number
}

export const crlf: string = "\r\n"
export const host: string = "Host: edge.test"
export const chunked: string = "Transfer-Encoding: chunked"
/** `hello` in one chunk. */
export const hello: string = "5\r\nhello\r\n0\r\n\r\n"
/** A whole request that must never be taken for one. */
export const hidden: string = `GET /smuggled HTTP/1.1${crlf}${host}${crlf}${crlf}`

/** A head of these lines, and what follows it. */
export function raw(lines: readonly string[], body = ""): Buffer {
  return Buffer.from(`${lines.join(crlf)}${crlf}${crlf}${body}`, "latin1")
}

/** GET of a target, closing the connection. */
export function get(target: string, ...headers: string[]): Buffer {
  return raw([`GET ${target} HTTP/1.1`, host, "Connection: close", ...headers])
}

/** A request of a method to `/submit`, closing the connection. */
export function request(method: string, headers: readonly string[], body = "", version = "HTTP/1.1"): Buffer {
  return raw([`${method} /submit ${version}`, host, "Connection: close", ...headers], body)
}

/** POST to `/submit`, closing the connection. */
export function post(headers: readonly string[], body: string, version = "HTTP/1.1"): Buffer {
  return request("POST", headers, body, version)
}

/** A case that must not pass. */
export function refuse(name: string, bytes: Buffer): EdgeCase {
  return { name, bytes, verdict: "refuse" }
}

/** A case that must pass. */
export function pass(name: string, bytes: Buffer, expect: Expectation = {}): EdgeCase {
  return { name, bytes, verdict: "pass", expect }
}

/** A text as one chunk with its size before it, without the last chunk. */
export function chunk(text: string): string {
  return `${text.length.toString(16)}${crlf}${text}${crlf}`
}
