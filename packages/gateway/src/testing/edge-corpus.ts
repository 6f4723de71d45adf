/** One request as raw bytes and what the edge has to do with it. */
export interface EdgeCase {
  name: string
  bytes: Buffer
  /** `refuse`: nothing reaches a backend and the connection ends; `pass`: it reaches one, as `expect` says. */
  verdict: "refuse" | "pass"
  /** For `pass`: what the backend sees. */
  expect?: { method?: string; url?: string; body?: string; absent?: readonly string[] }
}

const host = "Host: edge.test"
const crlf = "\r\n"

function raw(lines: readonly string[], body = ""): Buffer {
  return Buffer.from(`${lines.join(crlf)}${crlf}${crlf}${body}`, "latin1")
}

function get(target: string, ...headers: string[]): Buffer {
  return raw([`GET ${target} HTTP/1.1`, host, "Connection: close", ...headers])
}

function post(headers: readonly string[], body: string, version = "HTTP/1.1"): Buffer {
  return raw([`POST /submit ${version}`, host, "Connection: close", ...headers], body)
}

const refuse = (name: string, bytes: Buffer): EdgeCase => ({ name, bytes, verdict: "refuse" })
const pass = (name: string, bytes: Buffer, expect: EdgeCase["expect"] = {}): EdgeCase => ({ name, bytes, verdict: "pass", expect })

const chunked = "Transfer-Encoding: chunked"
const hello = "5\r\nhello\r\n0\r\n\r\n"
const smuggled = `0${crlf}${crlf}GET /smuggled HTTP/1.1${crlf}${host}${crlf}${crlf}`

/** Transfer-Encoding values that some parser somewhere reads as chunked and another does not. */
const encodings = [
  "chunked, identity",
  "identity",
  "identity, chunked",
  "gzip, chunked",
  "chunked, chunked",
  "xchunked",
  "chunkedx",
  "chunked;",
  "chunked; q=1",
  "'chunked'",
  '"chunked"',
  "\x0bchunked",
  "chunked\x0b",
  "chunked,",
  ", chunked",
  "cow",
  "chunKed\x01",
  "\x00chunked",
]

/** Content-Length values that are not one plain number. */
const lengths = ["+5", "-5", "5,5", "5, 5", "0x5", "5 5", "5.0", "5e0", "", "five", "5;", "99999999999999999999", "\x0b5", "５"]

/** Targets that hide a dot segment, a control character or another host. */
const targets = [
  "/..",
  "/../",
  "/../admin",
  "/a/..",
  "/a/../admin",
  "/a/../../admin",
  "/./admin",
  "/a/.",
  "/a/./b",
  "/%2e%2e/admin",
  "/%2E%2E/admin",
  "/.%2e/admin",
  "/%2e./admin",
  "/a/%2e/b",
  "/%2e",
  "/a/%2e%2e",
  "/a%2f..%2fadmin",
  "/a%2F%2e%2e%2Fadmin",
  "/a%2f.%2fb",
  "/..%2fadmin",
  "/a\\..\\admin",
  "/a%5c..%5cadmin",
  "/a%5Cb",
  "/a\\b",
  "/a%00b",
  "/%00",
  "/a%0d%0ab",
  "/a%0ab",
  "/a%09b",
  "/a%1fb",
  "/a%7fb",
  "/a#fragment",
  "/#",
  "/a%",
  "/a%2",
  "/a%zz",
]

/** Header lines that are no header lines. */
const lines = [
  " Folded: start",
  "X-Folded: a\r\n b",
  "X-Folded: a\r\n\tb",
  "No colon here",
  ": empty name",
  "Space before : colon",
  "Tab\t: colon",
  "X-Null: a\x00b",
  "X-Bell: a\x07b",
  "X-Cr: a\rb",
  "X-Lf: a\n\x00b",
  "X(paren): a",
  "X@at: a",
  "X\x00null: a",
  "X-Ünicode: a",
  '"X-Quoted": a',
  "X[0]: a",
  "X/Y: a",
  "X{y}: a",
  "Content-Length : 5",
  "Transfer-Encoding : chunked",
]

const requestLines = [
  "GET / HTTP/1.1 ",
  "GET /",
  "GET / HTTP/1.2",
  "GET / HTTP/2.0",
  "GET / HTTP/11",
  "GET / http/1.1",
  "GET / HTTP/1.1x",
  " GET / HTTP/1.1",
  "GET\t/ HTTP/1.1",
  "GET /a b HTTP/1.1",
  "get / HTTP/1.1",
  "G=T / HTTP/1.1",
  "GE\x00T / HTTP/1.1",
  "GET admin HTTP/1.1",
  "GET //edge.test:80:80/ HTTP/1.1x",
  "CONNECT edge.test:443 HTTP/1.1",
  "PRI * HTTP/2.0",
  "GET * HTTP/1.1",
  "GET http://other.test/ HTTP/1.1",
  "GET http:///a HTTP/1.1",
  "GET http://user:secret@edge.test/ HTTP/1.1",
  "GET ftp://edge.test/ HTTP/1.1",
  "GET http://edge.test/../admin HTTP/1.1",
]

const hosts = [
  ["no Host", []],
  ["an empty Host twice", ["Host:", "Host:"]],
  ["two Hosts that differ", ["Host: a.test", "Host: b.test"]],
  ["two Hosts that agree", ["Host: a.test", "Host: a.test"]],
  ["two Hosts, differently written", ["Host: a.test", "hOST: b.test"]],
  ["a Host with a path", ["Host: a.test/b"]],
  ["a Host with a user", ["Host: user@a.test"]],
  ["a Host with a blank", ["Host: a.test b.test"]],
  ["a Host with a comma", ["Host: a.test, b.test"]],
  ["a Host with a bad port", ["Host: a.test:port"]],
  ["a Host with a fragment", ["Host: a.test#b"]],
  ["a Host with a query", ["Host: a.test?b"]],
  ["a Host with a backslash", ["Host: a.test\\b"]],
] as const

/** What node:http lets through, or a proxy somewhere let through, and a proxy must not. */
export const refused: readonly EdgeCase[] = [
  ...encodings.map((value) => refuse(`Transfer-Encoding ${JSON.stringify(value)}`, post([`Transfer-Encoding: ${value}`], hello))),
  refuse("Transfer-Encoding twice", post([chunked, chunked], hello)),
  refuse("Transfer-Encoding twice, the second unknown", post([chunked, "Transfer-Encoding: cow"], hello)),
  refuse("Transfer-Encoding folded", post(["Transfer-Encoding:\r\n chunked"], hello)),
  refuse("Transfer-Encoding and Content-Length", post([chunked, "Content-Length: 4"], smuggled)),
  refuse("Content-Length and Transfer-Encoding", post(["Content-Length: 4", chunked], smuggled)),
  refuse("Transfer-Encoding and Content-Length 0", post(["Content-Length: 0", chunked], hello)),
  refuse("Transfer-Encoding on HTTP/1.0", post([chunked], hello, "HTTP/1.0")),
  ...lengths.map((value) => refuse(`Content-Length ${JSON.stringify(value)}`, post([`Content-Length: ${value}`], "hello"))),
  refuse("two Content-Lengths that differ", post(["Content-Length: 5", "Content-Length: 6"], "hello!")),
  refuse("two Content-Lengths that agree", post(["Content-Length: 5", "Content-Length: 5"], "hello")),
  refuse("GET with a body", raw(["GET / HTTP/1.1", host, "Content-Length: 5"], "hello")),
  refuse("GET with a chunked body", raw(["GET / HTTP/1.1", host, chunked], hello)),
  refuse("HEAD with a body", raw(["HEAD / HTTP/1.1", host, "Content-Length: 5"], "hello")),
  refuse("a chunk size with a sign", post([chunked], "+5\r\nhello\r\n0\r\n\r\n")),
  refuse("a chunk size in 0x", post([chunked], "0x5\r\nhello\r\n0\r\n\r\n")),
  refuse("a chunk size that overflows", post([chunked], "fffffffffffffffff\r\nhello\r\n0\r\n\r\n")),
  refuse("a chunk size with blanks before", post([chunked], " 5\r\nhello\r\n0\r\n\r\n")),
  refuse("a chunk size that is no number", post([chunked], "x\r\nhello\r\n0\r\n\r\n")),
  refuse("a chunk longer than it says", post([chunked], "3\r\nhello\r\n0\r\n\r\n")),
  refuse("chunks ended by a bare LF", post([chunked], "5\nhello\n0\n\n")),
  refuse("chunks ended by a bare CR", post([chunked], "5\rhello\r0\r\r")),
  ...targets.map((target) => refuse(`target ${target}`, get(target))),
  ...lines.map((line) => refuse(`header line ${JSON.stringify(line)}`, get("/", line))),
  ...requestLines.map((line) => refuse(`request line ${JSON.stringify(line)}`, raw([line, host, "Connection: close"]))),
  ...hosts.map(([name, headers]) => refuse(name, raw(["GET / HTTP/1.1", "Connection: close", ...headers]))),
  refuse("an oversize header", get("/", `X-Big: ${"a".repeat(70_000)}`)),
  refuse("too many headers", get("/", ...Array.from({ length: 3000 }, (_, index) => `X-${index}: ${"b".repeat(20)}`))),
  refuse("an oversize target", get(`/${"a".repeat(70_000)}`)),
  refuse("head ended by bare LF", Buffer.from(`GET / HTTP/1.1\n${host}\n\n`)),
  refuse("a bare CR in the head", Buffer.from(`GET / HTTP/1.1\r${host}\r\r`)),
  refuse("no HTTP at all", Buffer.from("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "latin1")),
]

const plainTargets = [
  "/",
  "/a",
  "/a/",
  "//a",
  "/a//b",
  "/a%20b",
  "/a%2Fb",
  "/a%2fb",
  "/a+b",
  "/...",
  "/a/...",
  "/..a",
  "/a..",
  "/.well-known/x",
  "/a/.hidden",
  "/%2e%2e%2e",
  "/%C3%A4",
  "/%ff",
  "/a;b=c",
  "/a,b",
  "/~user",
  "/@a",
  "/a:b",
  "/a?b=c",
  "/a?b=../../c",
  "/a?b=%2e%2e%2f",
  "/a?b=%00",
  "/a?b=c?d",
  "/a?",
  "/a?b=/c/../d",
  "/a?u=http://b.test/",
  "/!$&'()*+,;=:@",
  `/${"a".repeat(4000)}`,
]

/** What the grammar of HTTP allows, unusual as it may look. */
export const passed: readonly EdgeCase[] = [
  ...plainTargets.map((target) => pass(`target ${target.slice(0, 40)}`, get(target), { method: "GET", url: target })),
  ...["GET", "OPTIONS", "DELETE", "TRACE"].map((method) =>
    pass(`${method} without a body`, raw([`${method} /x HTTP/1.1`, host, "Connection: close"]), { method, url: "/x" }),
  ),
  ...["POST", "PUT", "PATCH", "DELETE"].map((method) =>
    pass(`${method} with a length`, raw([`${method} /x HTTP/1.1`, host, "Connection: close", "Content-Length: 5"], "hello"), {
      method,
      body: "hello",
    }),
  ),
  ...["POST", "PUT", "PATCH", "DELETE"].map((method) =>
    pass(`${method} in chunks`, raw([`${method} /x HTTP/1.1`, host, "Connection: close", chunked], hello), { method, body: "hello" }),
  ),
  pass("Transfer-Encoding in capitals", post(["TRANSFER-ENCODING: CHUNKED"], hello), { body: "hello" }),
  pass("Transfer-Encoding with blanks around", post(["Transfer-Encoding:   chunked  "], hello), { body: "hello" }),
  pass("chunk extensions", post([chunked], "5;a=b\r\nhello\r\n0\r\n\r\n"), { body: "hello" }),
  pass("many small chunks", post([chunked], `${"1\r\na\r\n".repeat(200)}0\r\n\r\n`), { body: "a".repeat(200) }),
  pass("chunk sizes in capitals and with leading zeros", post([chunked], "000A\r\n0123456789\r\n0\r\n\r\n"), { body: "0123456789" }),
  pass("request trailers, dropped", post([chunked, "Trailer: X-Sum"], "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), { body: "hello" }),
  pass("Content-Length 0", post(["Content-Length: 0"], ""), { body: "" }),
  pass("GET with Content-Length 0", get("/", "Content-Length: 0"), { method: "GET" }),
  pass("absolute-form that agrees with Host", raw(["GET http://edge.test/a?b HTTP/1.1", host, "Connection: close"]), { url: "/a?b" }),
  pass("Host with a port", raw(["GET / HTTP/1.1", "Host: edge.test:8080", "Connection: close"])),
  pass("Host that is IPv6", raw(["GET / HTTP/1.1", "Host: [::1]:8080", "Connection: close"])),
  pass("Host in capitals", raw(["GET / HTTP/1.1", "Host: EDGE.test", "Connection: close"])),
  pass("HTTP/1.0 with Host", raw(["GET /old HTTP/1.0", host]), { url: "/old" }),
  pass("an empty header value", get("/", "X-Empty:")),
  pass("a header without a blank after the colon", get("/", "X-Tight:a")),
  pass("a header value in Latin-1", get("/", "X-Latin: \xe4\xf6")),
  pass("the same header twice", get("/", "X-Twice: a", "X-Twice: b")),
  pass("names of every allowed character", get("/", "X!#$%&'*+-.^`|~1: a")),
  pass("a name with an underscore, dropped", get("/", "X_Forwarded_Proto: https"), { absent: ["x_forwarded_proto"] }),
  pass("headers that Connection names, dropped", raw(["GET / HTTP/1.1", host, "Connection: close, X-Hop", "X-Hop: 1"]), { absent: ["x-hop"] }),
  pass("hop-by-hop headers, dropped", get("/", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "TE: trailers", "Proxy-Authorization: x"), {
    absent: ["keep-alive", "proxy-connection", "te", "proxy-authorization"],
  }),
  pass("an empty line before the request", Buffer.concat([Buffer.from(crlf), get("/")])),
]
