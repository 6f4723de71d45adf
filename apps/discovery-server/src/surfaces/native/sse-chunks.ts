import { formatWatchToken, type WatchToken } from "@meshwork/contract"
import type { WatchFrame } from "@meshwork/registry-core"

/** Above this size a frame's JSON is written from where it lies instead of being copied beside its framing. */
const copyLimit = 16 * 1024

/** One event as bytes: a chunk of HTTP/1.1 chunked encoding when framed. Shared by every stream that writes it. */
export interface EventBytes {
  framed: readonly Buffer[]
  plain: readonly Buffer[]
}

const known = new WeakMap<WatchFrame, EventBytes>()
const end = "\n\n"

/** The bytes of an event, made once per frame. */
export function eventBytes(frame: WatchFrame): EventBytes {
  const before = known.get(frame)
  if (before) return before
  const id = frame.token === undefined ? "" : `id: ${formatWatchToken(frame.token)}\n`
  const bytes = encode(`${id}event: ${frame.event}\ndata: `, frame.json)
  known.set(frame, bytes)
  return bytes
}

/** The bytes of an `id:` line without an event, which keeps a quiet stream alive. */
export function keepAliveBytes(token: WatchToken | undefined): EventBytes {
  const text = token === undefined ? ": keep-alive\n\n" : `id: ${formatWatchToken(token)}\n\n`
  return { framed: [Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`)], plain: [Buffer.from(text)] }
}

function encode(head: string, json: Buffer): EventBytes {
  const size = Buffer.byteLength(head) + json.length + end.length
  const opening = `${size.toString(16)}\r\n${head}`
  const closing = `${end}\r\n`
  if (json.length > copyLimit) {
    const tail = Buffer.from(closing)
    return { framed: [Buffer.from(opening), json, tail], plain: [Buffer.from(head), json, tail.subarray(0, end.length)] }
  }
  const chunk = Buffer.concat([Buffer.from(opening), json, Buffer.from(closing)])
  return { framed: [chunk], plain: [chunk.subarray(opening.length - head.length, chunk.length - 2)] }
}
