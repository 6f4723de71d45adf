import { chunk, chunked, crlf, type EdgeCase, hello, hidden, host, pass, post, raw, refuse, request } from "./edge-case.ts"

/*
 * Disguises of the two framing headers, one byte at a time and as tools that look for desynchronisation try them (the permutations of Kettle's
 * HTTP Request Smuggler: name and value prefixes and suffixes, vertical space, wrapped lines; the 0.CL and Expect families of 2025; pauses are
 * the other half of every case, which is sent in pieces too).
 */

/** Bytes some parser skips, or takes for the end of something, and that no header may have where they are put here. */
const strayBytes = [
  0x00, 0x01, 0x04, 0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e, 0x1f, 0x20, 0x22, 0x28, 0x29, 0x2c, 0x2f, 0x3b, 0x3d, 0x40, 0x5b, 0x5d, 0x7b, 0x7f, 0x80,
  0x85, 0xa0, 0xad, 0xc2, 0xff,
]
/** Bytes that may stand in a name: the header is another one then, and framing is what the real one says. */
const nameBytes = ["!", "#", "$", "%", "&", "'", "*", "+", "-", ".", "^", "`", "|", "~", "0"]

const shown = (byte: number): string => `0x${byte.toString(16).padStart(2, "0")}`
const conflict = `0${crlf}${crlf}${hidden}`

const names = strayBytes.flatMap((byte) => {
  const stray = String.fromCharCode(byte)
  return [
    refuse(`TE.CL with ${shown(byte)} after the name`, post([`Transfer-Encoding${stray}: chunked`, `Content-Length: ${conflict.length}`], conflict)),
    refuse(`TE.CL with ${shown(byte)} before the name`, post([`${stray}Transfer-Encoding: chunked`, `Content-Length: ${conflict.length}`], conflict)),
    refuse(`0.CL with ${shown(byte)} after the name`, post([`Content-Length${stray}: ${hidden.length}`], hidden)),
    refuse(`0.CL with ${shown(byte)} within the name`, post([`Content${stray}Length: ${hidden.length}`], hidden)),
  ]
})

const values = strayBytes
  .filter((byte) => byte !== 0x09 && byte !== 0x20)
  .flatMap((byte) => {
    const stray = String.fromCharCode(byte)
    return [
      refuse(`TE.TE with ${shown(byte)} before the value`, post([`Transfer-Encoding: ${stray}chunked`], hello)),
      refuse(`TE.TE with ${shown(byte)} after the value`, post([`Transfer-Encoding: chunked${stray}`], hello)),
      refuse(`a length with ${shown(byte)} after it`, post([`Content-Length: 5${stray}`], "hello")),
    ]
  })

const otherNames = nameBytes.flatMap((byte) => [
  pass(
    `Transfer-Encoding${byte} is a header like any other`,
    post([`Transfer-Encoding${byte}: chunked`, `Content-Length: ${conflict.length}`], conflict),
    { body: conflict, headers: [`Transfer-Encoding${byte}: chunked`] },
  ),
  pass(`Content-Length${byte} is a header like any other`, post([`Content-Length${byte}: 2`, chunked], hello), {
    body: "hello",
    headers: [`Content-Length${byte}: 2`],
  }),
])

/** Lines by which a second header is hidden in the first, or the first in nothing. */
const wrapped = [
  ["a wrapped line", "X: y\r\n Transfer-Encoding: chunked"],
  ["a wrapped line by tab", "X: y\r\n\tTransfer-Encoding: chunked"],
  ["a line after a bare LF", "X: y\nTransfer-Encoding: chunked"],
  ["a line after a bare CR", "X: y\rTransfer-Encoding: chunked"],
  ["a line after LF CR", "X: y\n\rTransfer-Encoding: chunked"],
  ["a line after CR CR LF", "X: y\r\r\nTransfer-Encoding: chunked"],
  ["a line after a NUL", "X: y\0Transfer-Encoding: chunked"],
  ["a name over two lines", "Transfer-\r\nEncoding: chunked"],
  ["a value over three lines", "Transfer-Encoding:\r\n \r\n chunked"],
  ["a colon on a line of its own", "Transfer-Encoding\r\n: chunked"],
  ["no colon", "Transfer-Encoding chunked"],
  ["an equals sign for the colon", "Transfer-Encoding= chunked"],
  ["two names", "Foo Transfer-Encoding: chunked"],
  ["a name in quotes", '"Transfer-Encoding": chunked'],
  ["a value in quotes", 'Transfer-Encoding: "chunked"'],
  ["a value as a JSON list", 'Transfer-Encoding: ["chunked"]'],
  ["a value with a weight", "Transfer-Encoding: chunked;q=0.5"],
  ["a value twice in one line", "Transfer-Encoding: chunked chunked"],
  ["a value before a comment", "Transfer-Encoding: chunked (really)"],
  ["a value with a zero", "Transfer-Encoding: chunked0"],
  ["a value in letters beyond ASCII", "Transfer-Encoding: \xc5\xbfhunked"],
  ["an escape in the name", "Transfer%2dEncoding : chunked"],
].map(([name, line]) => refuse(`TE hidden by ${name}`, post([line ?? "", `Content-Length: ${conflict.length}`], conflict)))

const expectations = [
  "y 100-continue",
  "100-continue, x",
  "100-continue;a=b",
  "\x0b100-continue",
  "100 continue",
  "101-continue",
  "100-continue 100-continue",
].map((value) => refuse(`Expect ${JSON.stringify(value)}`, post([`Expect: ${value}`, "Content-Length: 5"], "hello")))

const switches = [
  ...["h2c", "H2C", "h2c, websocket", "websocket, h2c", "TLS/1.0", "HTTP/2.0", "HTTP", "h3", "f oo", "foo/", "/13", ""].map((protocol) =>
    pass(`an offer of ${protocol}, not taken up`, request("GET", ["Connection: Upgrade", `Upgrade: ${protocol}`])),
  ),
  pass("an upgrade in two lines, not taken up", request("GET", ["Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"])),
  pass("an upgrade that Connection does not name", request("GET", ["Upgrade: h2c"])),
  pass("the settings of h2c without an upgrade", request("GET", ["Connection: HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"])),
  pass("an upgrade to h2c with a body", request("POST", ["Connection: Upgrade", "Upgrade: h2c", "Content-Length: 5"], "hello"), { body: "hello" }),
  pass("an upgrade in HTTP/1.0", raw(["GET /ws HTTP/1.0", host, "Connection: upgrade", "Upgrade: websocket"])),
  refuse("an upgrade whose body comes in empty chunks", request("GET", ["Connection: Upgrade", "Upgrade: websocket", chunked], `0${crlf}${crlf}`)),
]

/** A body is forwarded in the framing it came in, whoever else might see requests in it. */
const carried = [
  pass("TE.0: OPTIONS with a request in a chunk", request("OPTIONS", [chunked], `${chunk(hidden)}0${crlf}${crlf}`), { body: hidden }),
  pass("CL.0 to what looks like a file", raw(["POST /favicon.ico HTTP/1.1", host, "Connection: close", `Content-Length: ${hidden.length}`], hidden), {
    body: hidden,
    chunked: false,
  }),
  pass("CL.0 to what looks like a folder", raw(["POST /icons HTTP/1.1", host, "Connection: close", `Content-Length: ${hidden.length}`], hidden), {
    body: hidden,
  }),
  pass("a chunk that says 0 CR LF CR LF", post([chunked], `${chunk(`0${crlf}${crlf}${hidden}`)}0${crlf}${crlf}`), {
    body: `0${crlf}${crlf}${hidden}`,
  }),
  pass("a body of 0 CR LF CR LF with a length", post(["Content-Length: 5"], `0${crlf}${crlf}`), { body: `0${crlf}${crlf}` }),
  pass("Expect with a request as the body", post(["Expect: 100-continue", `Content-Length: ${hidden.length}`], hidden), { body: hidden }),
]

/** Published disguises of framing, and what becomes of those that are none. */
export const obfuscated: readonly EdgeCase[] = [...names, ...values, ...otherNames, ...wrapped, ...expectations, ...switches, ...carried]
