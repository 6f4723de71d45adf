/** A request as a strict reader finds it in the bytes of a connection. */
export interface StrictRequest {
  method: string
  target: string
  /** Names as sent, values as sent. */
  headers: readonly (readonly [name: string, value: string])[]
  chunked: boolean
  body: string
}

const requestLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\/[\x21-\x22\x24-\x7e\x80-\xff]*) HTTP\/1\.1$/
const headerLine = /^([!#$%&'*+.^`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)$/

/** What one reading of a buffer came to: a whole request and where it ends, nothing yet, or what is wrong with it. */
export type Reading = { request: StrictRequest; end: number } | { fault: string } | undefined

/**
 * Reads one request by the letter of RFC 9112, and more narrowly where that leaves a choice: no extension or trailer in chunks, one Host, one
 * framing, no `_` in names, no line end but CRLF. What it does not find faultless must not come out of a proxy.
 */
export function readStrictly(text: string): Reading {
  const headEnd = text.indexOf("\r\n\r\n")
  if (headEnd === -1) return /[\0]|\r[^\n]|(?:^|[^\r])\n/.test(text) ? { fault: "a bare line end or NUL in the head" } : undefined
  const [first = "", ...lines] = text.slice(0, headEnd).split("\r\n")
  const line = requestLine.exec(first)
  if (line === null) return { fault: `the request line ${JSON.stringify(first)}` }
  const headers: [string, string][] = []
  for (const each of lines) {
    const header = headerLine.exec(each)
    if (header === null) return { fault: `the header line ${JSON.stringify(each)}` }
    headers.push([header[1] as string, (header[2] as string).trimEnd()])
  }
  const all = (name: string): string[] => headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value)
  const [hosts, lengths, encodings] = [all("host"), all("content-length"), all("transfer-encoding")]
  if (hosts.length !== 1) return { fault: `${hosts.length} Host headers` }
  if (lengths.length + encodings.length > 1) return { fault: "more than one framing" }
  if (encodings.length === 1 && encodings[0] !== "chunked") return { fault: `the encoding ${encodings[0]}` }
  if (lengths.length === 1 && !/^(?:0|[1-9]\d*)$/.test(lengths[0] as string)) return { fault: `the length ${lengths[0]}` }
  const body = encodings.length === 1 ? chunkedBody(text, headEnd + 4) : sizedBody(text, headEnd + 4, Number(lengths[0] ?? 0))
  if (body === undefined || typeof body === "string") return body === undefined ? undefined : { fault: body }
  const request = { method: line[1] as string, target: line[2] as string, headers, chunked: encodings.length === 1, body: body[0] }
  return { request, end: body[1] }
}

type Body = [text: string, end: number] | string | undefined

function sizedBody(text: string, from: number, length: number): Body {
  return text.length < from + length ? undefined : [text.slice(from, from + length), from + length]
}

function chunkedBody(text: string, from: number): Body {
  let at = from
  let body = ""
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at)
    if (lineEnd === -1) return text.length - at > 16 ? "a chunk size without an end" : undefined
    const size = text.slice(at, lineEnd)
    if (!/^[0-9a-f]{1,8}$/i.test(size)) return `the chunk size ${JSON.stringify(size)}`
    const length = Number.parseInt(size, 16)
    const dataEnd = lineEnd + 2 + length
    if (text.length < dataEnd + 2) return undefined
    if (text.slice(dataEnd, dataEnd + 2) !== "\r\n") return "a chunk that does not end where it says"
    if (length === 0) return [body, dataEnd + 2]
    body += text.slice(lineEnd + 2, dataEnd)
    at = dataEnd + 2
  }
}
