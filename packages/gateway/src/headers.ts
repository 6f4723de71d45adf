import { isIP } from "node:net"

/** Headers that belong to one connection; never passed on. */
const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
])
/** Headers that `Connection` may not name: what frames or places a message, and what the gateway itself says. */
const untouchable = new Set(["host", "content-length", "via"])
/** What the gateway says of the caller; a caller that is not trusted cannot say it. */
const rewritten = new Set(["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded"])
const isForwarded = (name: string): boolean => name.startsWith("x-forwarded-") || name === "forwarded" || name === "x-real-ip"
const loadHeader = "x-meshwork-load"
/** A name of more than letters, digits and dashes. */
const unusual = /[^0-9A-Za-z-]/
/** What one part of the mesh says to the next. */
const mesh = new Set(["x-request-timeout", "x-request-attempt", "x-request-priority", "x-service-name"])

/** What means nothing, or something else, once the body is over. */
const notAfterwards = new Set([
  "host",
  "set-cookie",
  "www-authenticate",
  "location",
  "retry-after",
  "cache-control",
  "expires",
  "age",
  "vary",
  "date",
])

/** What is known of who sent a request. */
export interface Peer {
  address: string
  /** Whether its `X-Forwarded-*` are believed. */
  trustedProxy: boolean
  /** Whether its mesh headers are believed. */
  inMesh: boolean
  secure: boolean
}

/** A request head without what must not be passed on, and what the mesh headers in it said. */
export interface ForwardHead {
  /** Flat list of names and values, without the attempt's own headers. */
  headers: string[]
  /** Milliseconds the caller has left; undefined when it did not say. */
  timeoutMs: number | undefined
  /** Number of the caller's own attempt; 1 when it did not say. */
  attempt: number
  idempotencyKey: boolean
  /** Whether the caller proves who it is to the connection and not to the request, so that no other caller may use it afterwards. */
  bindsConnection: boolean
}

/**
 * Builds the head that goes to the backend: first everything that belongs to the connection goes, then names with `_` and those that other programs
 * take for ours, then what the caller may not say; only then the gateway adds its own.
 */
export function forwardHead(rawHeaders: readonly string[], peer: Peer, host: string): ForwardHead {
  const named = connectionNames(rawHeaders)
  const head: ForwardHead = { headers: [], timeoutMs: undefined, attempt: 1, idempotencyKey: false, bindsConnection: false }
  const seen: { for?: string; host?: string; proto?: string; via?: string; forwarded?: string } = {}
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    const value = rawHeaders[index + 1] as string
    const lower = name.toLowerCase()
    if (hopByHop.has(lower) || lower === "host" || named?.has(lower) || (unusual.test(name) && isAlias(lower))) continue
    if (isForwarded(lower)) {
      if (!peer.trustedProxy) continue
      if (rewritten.has(lower)) note(seen, lower, value)
      else head.headers.push(name, value)
      continue
    }
    if (mesh.has(lower)) {
      if (!peer.inMesh) continue
      if (lower === "x-request-timeout") head.timeoutMs = seconds(value)
      else if (lower === "x-request-attempt") head.attempt = Math.max(1, Number.parseInt(value, 10) || 1)
      else head.headers.push(name, value)
      continue
    }
    if (lower === "via") {
      seen.via = seen.via === undefined ? value : `${seen.via}, ${value}`
      continue
    }
    if (lower === "idempotency-key") head.idempotencyKey = true
    else if (lower === "authorization" && /^(?:ntlm|negotiate)\b/i.test(value)) head.bindsConnection = true
    head.headers.push(name, value)
  }
  const proto = seen.proto ?? (peer.secure ? "https" : "http")
  head.headers.push("host", host)
  head.headers.push("x-forwarded-for", seen.for === undefined ? peer.address : `${seen.for}, ${peer.address}`)
  head.headers.push("x-forwarded-host", seen.host ?? host, "x-forwarded-proto", proto)
  const own = `for=${isIP(peer.address) === 6 ? `"[${peer.address}]"` : peer.address || "unknown"};host="${host}";proto=${proto}`
  head.headers.push("forwarded", seen.forwarded === undefined ? own : `${seen.forwarded}, ${own}`)
  head.headers.push("via", seen.via === undefined ? "1.1 meshwork" : `${seen.via}, 1.1 meshwork`)
  return head
}

/** What of an answer decides how its head is written. */
export interface AnswerShape {
  /** Whether trailers can follow; `Trailer` goes where they cannot, since node:http throws at it. */
  trailers: boolean
  /** Whether a length may be named; 204 has none, not even 0. */
  length: boolean
}

/** The head of an answer, and what of it counts on the way. */
export interface AnswerHead {
  /** Flat list of names and values. */
  headers: string[]
  /** `X-Meshwork-Load`. */
  load: string | undefined
  /** Whether the body is encoded in a way that would be lost on the way. */
  coded: boolean
}

/**
 * The head of an answer as it goes to the caller: raw buffers in, flat text out, without what belongs to the connection.
 */
export function answerHead(raw: readonly Buffer[], shape: AnswerShape): AnswerHead {
  const head: AnswerHead = { headers: [], load: undefined, coded: false }
  const text = raw.map((part) => part.toString("latin1"))
  const named = connectionNames(text)
  const { headers } = head
  let announced = -1
  let measured = false
  for (let index = 0; index < text.length; index += 2) {
    const name = text[index] as string
    const lower = name.toLowerCase()
    if (lower === "transfer-encoding" && text[index + 1]?.toLowerCase() !== "chunked") head.coded = true
    if ((hopByHop.has(lower) && lower !== "trailer") || named?.has(lower)) continue
    if (lower === "content-length") {
      if (!shape.length) continue
      measured = true
    } else if (lower === loadHeader) head.load = text[index + 1]
    else if (lower === "trailer") {
      if (announced !== -1) continue
      announced = headers.length
    }
    headers.push(name, text[index + 1] as string)
  }
  if (announced !== -1 && (measured || !shape.trailers)) headers.splice(announced, 2)
  return head
}

/** The trailers of an answer that may go on: none that frames, routes, controls or describes what came before it (RFC 9110, 6.5.1). */
export function answerTrailers(trailers: Readonly<Record<string, string | string[] | undefined>>): [name: string, value: string][] {
  const pairs: [string, string][] = []
  for (const [name, value] of Object.entries(trailers)) {
    const lower = name.toLowerCase()
    if (value === undefined || hopByHop.has(lower) || notAfterwards.has(lower) || lower.startsWith("content-") || isForwarded(lower)) continue
    for (const item of [value].flat()) pairs.push([name, item])
  }
  return pairs
}

/** Whether other programs (CGI, PHP, nginx) may read a name as one that means something here: they know no punctuation but one. */
function isAlias(name: string): boolean {
  if (name.includes("_")) return true
  const plain = name.replace(/[^0-9a-z-]/g, "-")
  return isForwarded(plain) || untouchable.has(plain) || mesh.has(plain) || hopByHop.has(plain)
}

function connectionNames(rawHeaders: readonly string[]): Set<string> | undefined {
  let names: Set<string> | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    if (name.length !== 10 || name.toLowerCase() !== "connection") continue
    const value = (rawHeaders[index + 1] as string).toLowerCase()
    if (value === "keep-alive" || value === "close") continue
    for (const part of value.split(",")) {
      const option = part.trim()
      if (option === "" || untouchable.has(option) || isForwarded(option) || mesh.has(option)) continue
      names ??= new Set()
      names.add(option)
    }
  }
  return names
}

function note(seen: { for?: string; host?: string; proto?: string; forwarded?: string }, name: string, value: string): void {
  if (name === "x-forwarded-for") seen.for = seen.for === undefined ? value : `${seen.for}, ${value}`
  else if (name === "x-forwarded-host") seen.host = value
  else if (name === "x-forwarded-proto" && /^https?$/i.test(value)) seen.proto = value.toLowerCase()
  else if (name === "forwarded") seen.forwarded = value
}

function seconds(value: string): number | undefined {
  return /^\d{1,9}(?:\.\d{1,9})?$/.test(value.trim()) ? Number(value) * 1000 : undefined
}
