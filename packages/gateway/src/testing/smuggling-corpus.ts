import { chunked, crlf, type EdgeCase, hello, hidden, host, pass, raw, refuse, request } from "./edge-case.ts"

/*
 * Requests by which one parser was led to see two where another saw one, as they were published over the years (Linhart et al. 2005; Kettle
 * 2019 to 2025: CL.TE, TE.CL, TE.TE, CL.0, 0.CL, chunk extensions; Leadbeater et al.: bare line ends), and what is near to them.
 */

const methods = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const

/** Two framings in one message: whoever believes the other one finds the hidden request. */
const bothFramings = methods.flatMap((method) => [
  refuse(`CL.TE with ${method}`, request(method, [`Content-Length: ${5 + hidden.length}`, chunked], `0${crlf}${crlf}${hidden}`)),
  refuse(
    `TE.CL with ${method}`,
    request(method, ["Content-Length: 4", chunked], `${hidden.length.toString(16)}${crlf}${hidden}${crlf}0${crlf}${crlf}`),
  ),
])

/** Spellings of Transfer-Encoding that some parsers read as chunked, some as unknown and some not at all. */
const transferEncodings = [
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
  "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-encoding: x",
  "Transfer-Encoding\t: chunked",
  "Transfer-Encoding \t: chunked",
  " Transfer-Encoding: chunked",
  "\tTransfer-Encoding: chunked",
  "X: X\n Transfer-Encoding: chunked",
  "Transfer-Encoding:\n chunked",
  "Transfer-Encoding\r\n: chunked",
  "Transfer-Encoding\x00: chunked",
  "Transfer-Encoding: chunked\x0c",
  "Transfer-Encoding: \x0cchunked",
  "Transfer-Encoding: chunked\x85",
  "Transfer-Encoding: chunked\xa0",
  "Transfer-Encoding: \xa0chunked",
  "Transfer-Encoding: chu\x00nked",
  "Transfer-Encoding: chunked identity",
  "Transfer-Encoding: deflate, chunked",
  "Transfer-Encoding: compress",
  "Transfer-Encoding: chunked;a=b",
  "Transfer-Encoding: chunk",
  "Transfer-Encoding:",
  "Transfer-Encoding: ,chunked",
  "Transfer-Encoding: chunked,,",
  "Transfer-Encoding: null",
  "Transfer-Encoding: [chunked]",
].map((line) => refuse(`TE.TE ${JSON.stringify(line)}`, request("POST", [line, "Content-Length: 4"], `0${crlf}${crlf}${hidden}`)))

const contentLengths = [
  "Content-Length: 5\r\nContent-Length: 0",
  "Content-Length: 0\r\nContent-Length: 5",
  "Content-Length: 5\r\ncontent-length: 6",
  "Content-Length: 5, 0",
  "Content-Length: 0, 5",
  "Content-Length: \x0b5",
  "Content-Length: 5\x0c",
  "Content-Length: 5\x00",
  "Content-Length: 5\xa0",
  "Content-Length: 0005a",
  "Content-Length: 1_0",
  "Content-Length: 1'0",
  "Content-Length: 0b101",
  "Content-Length: 0o5",
  "Content-Length: NaN",
  "Content-Length: Infinity",
  "Content-Length: 18446744073709551621",
  "Content-Length: 9223372036854775808",
  "Content-Length\t: 5",
  "Content-Length\x00: 5",
  " Content-Length: 5",
  "Content-Length:\r\n 5",
  "Content-Length: ²",
].map((line) => refuse(`length ${JSON.stringify(line)}`, request("POST", [line], "hello")))

/** Chunks that end where one parser looks and go on where another does. */
const chunks = [
  ["a size with a blank before its end", "5 \x00\r\nhello\r\n0\r\n\r\n"],
  ["a size with a minus", "-5\r\nhello\r\n0\r\n\r\n"],
  ["a size with an underscore", "0_5\r\nhello\r\n0\r\n\r\n"],
  ["a size with a comma", "5,5\r\nhello\r\n0\r\n\r\n"],
  ["a size with a point", "5.0\r\nhello\r\n0\r\n\r\n"],
  ["a size in full-width digits", "\xef\xbc\x95\r\nhello\r\n0\r\n\r\n"],
  ["an empty size", "\r\nhello\r\n0\r\n\r\n"],
  ["a size of NUL", "\x00\r\nhello\r\n0\r\n\r\n"],
  ["a size beyond 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"],
  ["a size ended by LF", "5\nhello\r\n0\r\n\r\n"],
  ["a size ended by CR", "5\rhello\r\n0\r\n\r\n"],
  ["a size ended by CR CR LF", "5\r\r\nhello\r\n0\r\n\r\n"],
  ["data ended by LF", "5\r\nhello\n0\r\n\r\n"],
  ["data ended by CR", "5\r\nhello\r0\r\n\r\n"],
  ["data ended by nothing", "5\r\nhello0\r\n\r\n"],
  ["data ended by two letters", "5\r\nhelloXX0\r\n\r\n"],
  ["an extension ended by LF", "5;a\nhello\r\n0\r\n\r\n"],
  ["an extension with NUL", "5;a\x00\r\nhello\r\n0\r\n\r\n"],
  ["an extension with a bare CR", "5;a\rb\r\nhello\r\n0\r\n\r\n"],
  ["an extension longer than any head", `5;${"a".repeat(40_000)}\r\nhello\r\n0\r\n\r\n`],
  ["a last chunk ended by LF", "5\r\nhello\r\n0\n\r\n"],
  ["a last extension that hides a request", `5\r\nhello\r\n0;\n${hidden}\r\n\r\n`],
  ["a trailer that is folded", "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"],
  ["a trailer without a colon", "5\r\nhello\r\n0\r\nno colon\r\n\r\n"],
  ["a trailer with a blank before its colon", "5\r\nhello\r\n0\r\nX : a\r\n\r\n"],
  ["a trailer that names a length", "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n"],
  ["a trailer with NUL", "5\r\nhello\r\n0\r\nX: \x00\r\n\r\n"],
].map(([name, body]) => refuse(`chunks with ${name}`, request("POST", [chunked], body)))

/** A message of HTTP/1.0, or of none, whose framing later versions read otherwise. */
const versions = [
  refuse("HTTP/1.0 in chunks, kept alive", request("POST", [chunked, "Connection: keep-alive"], hello, "HTTP/1.0")),
  refuse("HTTP/0.9", Buffer.from("GET /\r\n\r\n")),
  refuse("HTTP/0.9 with a version of 0.9", raw(["GET / HTTP/0.9", host])),
  refuse("HTTP/1.1 in two spellings", raw(["GET / HTTP/1.1 HTTP/1.1", host])),
  refuse("HTTP/1.01", raw(["GET / HTTP/1.01", host])),
  refuse("HTTP/1,1", raw(["GET / HTTP/1,1", host])),
  refuse("HTTP/1.", raw(["GET / HTTP/1.", host])),
  refuse("HTTP/+1.1", raw(["GET / HTTP/+1.1", host])),
  refuse("HTTPS/1.1", raw(["GET / HTTPS/1.1", host])),
  refuse("no version", raw(["GET /", host])),
  refuse("an answer in place of a request", raw(["HTTP/1.1 200 OK", "Content-Length: 0"])),
]

/** Line ends and beginnings of which somebody's parser takes more, or less, than CRLF. */
const lineEnds = [
  ["a head of LF alone", `GET / HTTP/1.1\n${host}\n\n`],
  ["a request line ended by LF", `GET / HTTP/1.1\n${host}\r\n\r\n`],
  ["a header ended by LF", `GET / HTTP/1.1\r\n${host}\nX: a\r\n\r\n`],
  ["a header ended by CR", `GET / HTTP/1.1\r\n${host}\rX: a\r\n\r\n`],
  ["a head ended by CR LF CR", `GET / HTTP/1.1\r\n${host}\r\n\rX`],
  ["a header ended by CR CR LF", `GET / HTTP/1.1\r\n${host}\r\r\n\r\n`],
  ["a request line ended by NUL", `GET / HTTP/1.1\0\r\n${host}\r\n\r\n`],
  ["a byte order mark", `\xef\xbb\xbfGET / HTTP/1.1\r\n${host}\r\n\r\n`],
  ["a NUL before the method", `\0GET / HTTP/1.1\r\n${host}\r\n\r\n`],
  ["a tab before the method", `\tGET / HTTP/1.1\r\n${host}\r\n\r\n`],
  ["a header before the request line", `X: a\r\nGET / HTTP/1.1\r\n${host}\r\n\r\n`],
  ["a first header that is folded", `GET / HTTP/1.1\r\n X: a\r\n${host}\r\n\r\n`],
  ["a Host that is folded", "GET / HTTP/1.1\r\nHost:\r\n edge.test\r\n\r\n"],
  ["a request line over two lines", `GET /\r\n HTTP/1.1\r\n${host}\r\n\r\n`],
  ["a vertical tab for a blank", `GET\x0b/ HTTP/1.1\r\n${host}\r\n\r\n`],
  ["a form feed for a blank", `GET / \x0cHTTP/1.1\r\n${host}\r\n\r\n`],
].map(([name, text]) => refuse(name ?? "", Buffer.from(text ?? "", "latin1")))

/** Who is asked: spellings of the target and of Host that lead a router and a backend to different places. */
const authorities = [
  refuse("absolute-form with another port", raw(["GET http://edge.test:81/ HTTP/1.1", host])),
  refuse("absolute-form with a user", raw(["GET http://a@edge.test/ HTTP/1.1", host])),
  refuse("absolute-form of no known scheme", raw(["GET gopher://edge.test/ HTTP/1.1", host])),
  refuse("absolute-form without slashes", raw(["GET http:edge.test/ HTTP/1.1", host])),
  refuse("absolute-form with a backslash", raw(["GET http://edge.test\\@other.test/ HTTP/1.1", host])),
  refuse("absolute-form with a fragment", raw(["GET http://edge.test/#a HTTP/1.1", host])),
  refuse("absolute-form with a dot segment", raw(["GET http://edge.test/a/%2e%2e/b HTTP/1.1", host])),
  refuse("absolute-form and two Hosts", raw(["GET http://edge.test/ HTTP/1.1", host, host])),
  refuse("authority-form with GET", raw(["GET edge.test:80 HTTP/1.1", host])),
  refuse("a query without a path", raw(["GET ?a=b HTTP/1.1", host])),
  refuse("a fragment in the query", raw(["GET /?a#b HTTP/1.1", host])),
  refuse("a blank in the query", raw(["GET /?a b HTTP/1.1", host])),
  refuse("a tab in the path", raw(["GET /a\tb HTTP/1.1", host])),
  refuse("a control character in the query", raw(["GET /?a=\x01 HTTP/1.1", host])),
  refuse("a DEL in the path", raw(["GET /a\x7f HTTP/1.1", host])),
  ...[
    "edge.test:99999",
    "edge.test:-1",
    "edge.test:80:80",
    "[::1",
    "::1",
    "[::1]x",
    "edge.test\t",
    "a<b",
    "edge test",
    "edge.test/",
    '"edge.test"',
  ].map((value) =>
    value.trim() === value
      ? refuse(`Host ${JSON.stringify(value)}`, raw(["GET / HTTP/1.1", `Host: ${value}`]))
      : pass("Host with blanks around", raw(["GET / HTTP/1.1", `Host:  ${value} `, "Connection: close"])),
  ),
]

/** What asks for another protocol, or for a pause, in the middle of a message. */
const switches = [
  refuse("an upgrade with a body", request("GET", ["Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5"], "hello")),
  refuse("an upgrade by POST", request("POST", ["Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5"], "hello")),
  refuse("an upgrade in chunks", request("POST", ["Connection: Upgrade", "Upgrade: websocket", chunked], hello)),
  refuse("an expectation nobody knows", request("POST", ["Expect: 200-ok", "Content-Length: 5"], "hello")),
  refuse("CONNECT", raw(["CONNECT edge.test:443 HTTP/1.1", host], hidden)),
  refuse("CONNECT with a length", raw(["CONNECT edge.test:443 HTTP/1.1", host, `Content-Length: ${hidden.length}`], hidden)),
  refuse("the preface of HTTP/2", Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
  pass(
    "an upgrade to h2c, not taken up",
    request("GET", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]),
  ),
  pass("a body after 100-continue", request("POST", ["Expect: 100-continue", "Content-Length: 5"], "hello"), { body: "hello" }),
]

/** A body that looks like a request is a body. */
const bodies = [
  ...methods.map((method) =>
    pass(`CL.0: a request as the body of ${method}`, request(method, [`Content-Length: ${hidden.length}`], hidden), { method, body: hidden }),
  ),
  ...methods.map((method) =>
    pass(`a request in a chunk of ${method}`, request(method, [chunked], `${hidden.length.toString(16)}${crlf}${hidden}${crlf}0${crlf}${crlf}`), {
      method,
      body: hidden,
    }),
  ),
  pass("a tab before chunked", request("POST", ["Transfer-Encoding:\tchunked"], hello), { body: "hello" }),
  pass("a length with blanks around", request("POST", ["Content-Length:   5  "], "hello"), { body: "hello" }),
  pass("a length with zeros before", request("POST", ["Content-Length: 0005"], "hello"), { body: "hello" }),
  pass("an extension in quotes", request("POST", [chunked], '5;a="b;c"\r\nhello\r\n0\r\n\r\n'), { body: "hello" }),
  pass("an extension on the last chunk", request("POST", [chunked], "5\r\nhello\r\n0;a\r\n\r\n"), { body: "hello" }),
  pass("a size with fifteen zeros", request("POST", [chunked], "0000000000000005\r\nhello\r\n0\r\n\r\n"), { body: "hello" }),
  pass("a last chunk of many zeros", request("POST", [chunked], "5\r\nhello\r\n0000\r\n\r\n"), { body: "hello" }),
  pass("underscored framing, dropped", request("POST", ["Transfer_Encoding: chunked", "Content-Length: 5"], "hello"), { body: "hello" }),
  pass("Connection names the framing, which stays", request("POST", ["Connection: Content-Length", "Content-Length: 5"], "hello"), { body: "hello" }),
  pass("a header named like a method", request("GET", ["GET: /smuggled"]), { headers: ["GET: /smuggled"] }),
]

/** Published ways to smuggle, and their neighbours. */
export const smuggled: readonly EdgeCase[] = [
  ...bothFramings,
  ...transferEncodings,
  ...contentLengths,
  ...chunks,
  ...versions,
  ...lineEnds,
  ...authorities,
  ...switches,
  ...bodies,
]
