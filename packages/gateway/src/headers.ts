import { type HeaderKind, headerKind, isForwarded, isOfConnection, isUntouchable } from "./header-kinds.ts"
import type { Peer } from "./peers.ts"

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
  const { headers } = head
  let seen: Seen = nothing
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    const value = rawHeaders[index + 1] as string
    if (named?.has(name.toLowerCase())) continue
    const kind = headerKind(name)
    if (kind === "plain" || passes(head, kind, value, peer)) headers.push(name, value)
    else if (kind === "via" || (kind === "rewritten" && peer.trustedProxy)) {
      if (seen === nothing) seen = { ...nothing }
      note(seen, name.toLowerCase(), value)
    }
  }
  const proto = seen.proto ?? (peer.secure ? "https" : "http")
  const own = `${peer.forwardedFor};host="${host}";proto=${proto}`
  headers.push("host", host, "x-forwarded-for", seen.for === undefined ? peer.address : `${seen.for}, ${peer.address}`)
  headers.push("x-forwarded-host", seen.host ?? host, "x-forwarded-proto", proto)
  headers.push("forwarded", seen.forwarded === undefined ? own : `${seen.forwarded}, ${own}`)
  headers.push("via", seen.via === undefined ? "1.1 meshwork" : `${seen.via}, 1.1 meshwork`)
  return head
}

/** Notes what a header that is not plain says of the request; whether it is passed on as it is. */
function passes(head: ForwardHead, kind: HeaderKind, value: string, peer: Peer): boolean {
  switch (kind) {
    case "forwarded":
      return peer.trustedProxy
    case "mesh":
      return peer.inMesh
    case "timeout":
      if (peer.inMesh) head.timeoutMs = seconds(value)
      return false
    case "attempt":
      if (peer.inMesh) head.attempt = Math.max(1, Number.parseInt(value, 10) || 1)
      return false
    case "idempotency-key":
      return (head.idempotencyKey = true)
    case "authorization":
      if (/^(?:ntlm|negotiate)\b/i.test(value)) head.bindsConnection = true
      return true
    default:
      return kind === "content-length" || kind === "load"
  }
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
  /** `Content-Length`; -1 without one. */
  length: number
}

/**
 * The head of an answer as it goes to the caller: raw buffers in, flat text out, without what belongs to the connection.
 */
export function answerHead(raw: readonly Buffer[], shape: AnswerShape): AnswerHead {
  const head: AnswerHead = { headers: [], load: undefined, coded: false, length: -1 }
  const text = raw.map((part) => part.toString("latin1"))
  const named = connectionNames(text)
  const { headers } = head
  let announced = -1
  for (let index = 0; index < text.length; index += 2) {
    const name = text[index] as string
    const value = text[index + 1] as string
    const kind = headerKind(name)
    if (kind === "transfer-encoding" && value.toLowerCase() !== "chunked") head.coded = true
    if (kind === "hop" || kind === "connection" || kind === "transfer-encoding" || named?.has(name.toLowerCase())) continue
    if (kind === "content-length") {
      if (!shape.length) continue
      head.length = Number(value)
    } else if (kind === "load") head.load = value
    else if (kind === "trailer") {
      if (announced !== -1) continue
      announced = headers.length
    }
    headers.push(name, value)
  }
  if (announced !== -1 && (head.length !== -1 || !shape.trailers)) headers.splice(announced, 2)
  return head
}

/** The trailers of an answer that may go on: none that frames, routes, controls or describes what came before it (RFC 9110, 6.5.1). */
export function answerTrailers(trailers: Readonly<Record<string, string | string[] | undefined>>): [name: string, value: string][] {
  const pairs: [string, string][] = []
  for (const [name, value] of Object.entries(trailers)) {
    const lower = name.toLowerCase()
    if (value === undefined || isOfConnection(lower) || notAfterwards.has(lower) || lower.startsWith("content-") || isForwarded(lower)) continue
    for (const item of [value].flat()) pairs.push([name, item])
  }
  return pairs
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
      if (option === "" || isUntouchable(option)) continue
      names ??= new Set()
      names.add(option)
    }
  }
  return names
}

/** What others on the way have said of the caller. */
interface Seen {
  for: string | undefined
  host: string | undefined
  proto: string | undefined
  via: string | undefined
  forwarded: string | undefined
}

const nothing: Seen = { for: undefined, host: undefined, proto: undefined, via: undefined, forwarded: undefined }

function note(seen: Seen, name: string, value: string): void {
  if (name === "x-forwarded-for") seen.for = seen.for === undefined ? value : `${seen.for}, ${value}`
  else if (name === "via") seen.via = seen.via === undefined ? value : `${seen.via}, ${value}`
  else if (name === "x-forwarded-host") seen.host = value
  else if (name === "x-forwarded-proto" && /^https?$/i.test(value)) seen.proto = value.toLowerCase()
  else if (name === "forwarded") seen.forwarded = value
}

function seconds(value: string): number | undefined {
  return /^\d{1,9}(?:\.\d{1,9})?$/.test(value.trim()) ? Number(value) * 1000 : undefined
}
