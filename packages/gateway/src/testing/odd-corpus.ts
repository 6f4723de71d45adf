import { METHODS } from "node:http"
import { chunk, chunked, crlf, type EdgeCase, get, hello, host, pass, post, raw, request } from "./edge-case.ts"

/*
 * Requests that the grammar allows, from RFC 9110, 9112 and 3986 rather than from what clients usually send. All must arrive, byte for byte.
 */

/** Those of node:http but CONNECT, which is for tunnels. */
const methods = METHODS.filter((method) => method !== "CONNECT").flatMap((method) => {
  const bodyless = method === "GET" || method === "HEAD" || method === "TRACE"
  return bodyless
    ? [pass(`${method} whose chunks are none`, request(method, [chunked], `0${crlf}${crlf}`))]
    : [
        pass(`${method} with nothing`, request(method, [])),
        pass(`${method} with a length of 5`, request(method, ["Content-Length: 5"], "hello"), { body: "hello" }),
      ]
})

/** Every printable character that is escaped, but the dot, the slash and the backslash, which are another matter. */
const escapes = Array.from({ length: 94 }, (_, index) => index + 0x21)
  .filter((code) => ![0x2e, 0x5c].includes(code) && !/[0-9A-Za-z]/.test(String.fromCharCode(code)))
  .map((code) => `/a%${code.toString(16)}b%${code.toString(16).toUpperCase()}`)

const targets = [
  ...escapes,
  "/%41%5a%61",
  "/%e2%82%ac",
  "/%F0%9F%98%80",
  "/%80",
  "/%fe%ff",
  "/%c3%28",
  "/%25%32%65",
  "/%252e%252e/",
  "/%252f..a",
  "/.a",
  "/a.",
  "/a./b",
  "/a../b",
  "/..a/b",
  "/.../b",
  "/..../b",
  "/a/...",
  "/%2ea",
  "/%2e%2ea/b",
  "/a%2e%2e/b",
  "/a%2e",
  "/.%2ea",
  "/..%41",
  "/...%2f",
  "/a%2f",
  "/%2f",
  "/%2f%2fa",
  "///",
  "////a//b//",
  "/;a",
  "/a;b;c=d/e;f",
  "/..;/b",
  "/a/b;jsessionid=0",
  "/a=b&c=d",
  "/a!b*c'd(e)",
  "/$a,b",
  "/http://other.test/b",
  "/*",
  "/a*",
  "/-",
  "/_",
  "/~",
  "/a|b",
  "/a^b`c",
  "/{a}",
  "/[a]",
  '/a"b',
  "/<a>",
  "/?",
  "/??",
  "/?a",
  "/?=",
  "/?&",
  "/?a=b&a=c",
  "/?a/b",
  "/?/../..",
  "/?a=/./b",
  "/?a=%2e%2e%2f",
  "/?a=%0d%0aX:%20b",
  "/?a=%00",
  "/?a=%",
  "/?a=%zz",
  "/?a[]=b&a[c]=d",
  "/?a={b}|c\\d^e`f",
  '/?a="b"',
  "/?a=b+c",
  "/?http://b.test",
  "/a?b=c;d=e",
  `/?${"a".repeat(6000)}`,
  `/${"a/".repeat(2000)}`,
]

const lines = [
  ["blanks at both ends of a value", "X: \t a \t ", "X: a"],
  ["a tab within a value", "X: a\tb", "X: a\tb"],
  ["a value of punctuation", "X: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "X: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"],
  ["a value of every byte beyond ASCII", `X: ${String.fromCharCode(...Array.from({ length: 127 }, (_, index) => index + 0x80))}`],
  ["a value in UTF-8", "X: \xe2\x82\xac"],
  ["a value in quotes", 'X: "a, b; c=\\"d\\""'],
  ["a value with a colon", "X: a: b"],
  ["a value like a header", "X: Content-Length: 5"],
  ["a value like a request", "X: GET /smuggled HTTP/1.1"],
  ["a value of 8,000 bytes", `X: ${"a".repeat(8000)}`],
  ["a name of 1,000 bytes", `${"X".repeat(1000)}: a`],
  ["a name of one digit", "1: a"],
  ["a name like framing", "X-Transfer-Encoding: chunked"],
  ["another name like framing", "Content-Length-Was: 5"],
  ["a name like Host", "Hosts: other.test"],
  ["a name like Connection", "X-Connection: Host"],
  ["a host that is not Host", "X-Host: other.test"],
  ["an override of the method", "X-HTTP-Method-Override: DELETE"],
  ["an override of the path", "X-Original-URL: /admin"],
  ["another override of the path", "X-Rewrite-URL: /admin"],
  ["Cookie", "Cookie: a=b; c=d; $Version=1"],
  ["Authorization", "Authorization: Basic YTpi"],
  ["Range", "Range: bytes=0-0,-1"],
  ["If-None-Match", 'If-None-Match: W/"a", "b", *'],
  ["If-Modified-Since", "If-Modified-Since: Sat, 21 Nov 2026 00:00:00 GMT"],
  ["Accept", "Accept: text/*;q=0.3, text/html;level=1, */*;q=0"],
  ["Accept-Encoding", "Accept-Encoding: gzip;q=1.0, identity; q=0.5, *;q=0"],
  ["Content-Encoding", "Content-Encoding: gzip"],
  ["Max-Forwards", "Max-Forwards: 0"],
  ["Cache-Control", "Cache-Control: no-cache, max-age=0"],
  ["Pragma", "Pragma: no-cache"],
  ["Referer", "Referer: http://other.test/?a#b"],
  ["Origin", "Origin: null"],
  ["From", "From: a@b.test"],
  ["Priority", "Priority: u=1, i"],
  ["a user agent with a comment", "User-Agent: a/1.0 (b; c)"],
].map(([name, line = "", seen]) => pass(name ?? "", get("/", line), { headers: [seen ?? line] }))

const many = [
  pass("300 headers", get("/", ...Array.from({ length: 300 }, (_, index) => `X-${index}: ${index}`)), {
    headers: Array.from({ length: 300 }, (_, index) => `X-${index}: ${index}`),
  }),
  pass("one name in three spellings, in order", get("/", "X-A: 1", "x-a: 2", "X-a: 3"), { headers: ["X-A: 1", "x-a: 2", "X-a: 3"] }),
  pass("two Cookies", get("/", "Cookie: a=b", "Cookie: c=d"), { headers: ["Cookie: a=b", "Cookie: c=d"] }),
  pass("two Authorizations", get("/", "Authorization: a", "Authorization: b"), { headers: ["Authorization: a", "Authorization: b"] }),
  pass("Host last", raw(["GET / HTTP/1.1", "X: a", "Connection: close", host]), { headers: ["X: a"] }),
  pass("Host in small letters", raw(["GET / HTTP/1.1", "host: edge.test", "connection: close"])),
]

const connections = [
  ["close in capitals", ["Connection: CLOSE"]],
  ["keep-alive and close", ["Connection: keep-alive, close"]],
  ["empty parts", ["Connection: ,, close ,"]],
  ["a header it names", ["Connection: X-Hop, close", "X-Hop: a"]],
  ["a header it names in other letters", ["Connection: x-HOP ,close", "X-hop: a"]],
  ["a header it names twice", ["Connection: X-Hop, X-Hop, close", "X-Hop: a", "x-hop: b"]],
  ["two lines of it", ["Connection: X-One", "Connection: close, X-Two", "X-One: a", "X-Two: b"]],
  ["a header that is not there", ["Connection: X-Gone, close"]],
  ["what is no name", ["Connection: close, a b, (c)"]],
  ["Host, which stays", ["Connection: close, Host"]],
  ["Transfer-Encoding", ["Connection: close, Transfer-Encoding"]],
  ["TE", ["Connection: close, TE", "TE: trailers, deflate;q=0.5"]],
  ["Keep-Alive", ["Connection: close, Keep-Alive", "Keep-Alive: timeout=5, max=1000"]],
  ["Proxy-Connection", ["Connection: close", "Proxy-Connection: keep-alive"]],
  ["Cookie, which goes", ["Connection: close, Cookie", "Cookie: a=b"]],
  ["the gateway's own, which stay", ["Connection: close, X-Forwarded-For, Via, X-Request-Timeout"]],
] as const
const named = connections.map(([name, headers]) => pass(`Connection with ${name}`, raw(["GET / HTTP/1.1", host, ...headers])))

const hosts = [
  "edge.test:",
  "edge.test:0",
  "edge.test:65535",
  "EDGE.TEST:80",
  "edge",
  "e",
  "10.0.0.1",
  "127.0.0.1:80",
  "edge.test.",
  "a_b.test",
  "a-b.test",
  "xn--nxasmq6b",
]
const ipv6 = ["[::]", "[::1]", "[2001:db8::1]:8080", "[::ffff:10.0.0.1]", "[FE80::1]:80"]
const places = [
  ...[...hosts, ...ipv6, "", "edge%C3%A4.test", "!$&'()*+;=~"].map((value) =>
    pass(`Host ${JSON.stringify(value)}, as it is`, raw(["GET / HTTP/1.1", `Host: ${value}`, "Connection: close"]), { host: value }),
  ),
  ...[
    ["http://edge.test/", "/"],
    ["http://edge.test", "/"],
    ["http://edge.test?a=b", "/?a=b"],
    ["http://edge.test//a", "//a"],
    ["http://edge.test:80/a", "/a"],
    ["HTTP://EDGE.TEST/A", "/A"],
    ["https://edge.test/a", "/a"],
    ["http://edge.test/http://other.test/", "/http://other.test/"],
    ["http://edge.test/@other.test", "/@other.test"],
    ["http://edge.test/?a=http://other.test", "/?a=http://other.test"],
  ].map(([target, url = ""]) => pass(`absolute-form ${target}`, get(target ?? ""), { url })),
  pass("absolute-form of IPv6", raw(["GET http://[::1]:81/a HTTP/1.1", "Host: [::1]:81", "Connection: close"]), { url: "/a", host: "[::1]:81" }),
  pass("absolute-form of HTTP/1.0 without Host", raw(["GET http://edge.test/a HTTP/1.0"]), { url: "/a" }),
  pass("HTTP/1.0 without Host", raw(["GET /a HTTP/1.0"]), { host: "" }),
  pass("HTTP/1.0 with a length", raw(["POST /a HTTP/1.0", host, "Content-Length: 5"], "hello"), { body: "hello" }),
  pass("HTTP/1.0 with an expectation, which it has not", raw(["POST /a HTTP/1.0", host, "Expect: 100-continue", "Content-Length: 5"], "hello"), {
    body: "hello",
  }),
  pass("two empty lines before the request", Buffer.concat([Buffer.from(crlf + crlf), get("/")])),
]

const bytes = String.fromCharCode(...Array.from({ length: 256 }, (_, index) => index))
const bodies = [
  pass("a body of every byte", post(["Content-Length: 256"], bytes), { body: bytes }),
  pass("a chunk of every byte", post([chunked], `${chunk(bytes)}0${crlf}${crlf}`), { body: bytes }),
  pass("a body that begins with CR LF", post(["Content-Length: 4"], "\r\n\r\n"), { body: "\r\n\r\n" }),
  pass("a body of NUL", post(["Content-Length: 3"], "\0\0\0"), { body: "\0\0\0" }),
  pass("chunks that are empty", post([chunked], `0${crlf}${crlf}`)),
  pass("chunks of one byte each", post([chunked], `${Array.from(bytes, chunk).join("")}0${crlf}${crlf}`), { body: bytes }),
  ...[1, 15, 16, 255, 4095, 65_535, 65_536, 65_537, 200_000].flatMap((size) => [
    pass(`a length of ${size}`, post([`Content-Length: ${size}`], "a".repeat(size)), { body: "a".repeat(size) }),
    pass(`a chunk of ${size}`, post([chunked], `${chunk("a".repeat(size))}0${crlf}${crlf}`), { body: "a".repeat(size) }),
  ]),
  pass("a size in capitals", post([chunked], `A\r\n0123456789\r\n0${crlf}${crlf}`), { body: "0123456789" }),
  pass("a length of thirty zeros and 5", post([`Content-Length: ${"0".repeat(30)}5`], "hello"), { body: "hello" }),
  pass("an extension without a value", post([chunked], "5;a\r\nhello\r\n0\r\n\r\n"), { body: "hello" }),
  pass("an extension of punctuation", post([chunked], "5;!#$%&'*+-.^_`|~=a\r\nhello\r\n0\r\n\r\n"), { body: "hello" }),
  pass("an extension with an empty text", post([chunked], '5;a=""\r\nhello\r\n0\r\n\r\n'), { body: "hello" }),
  pass("an extension with an escaped quote", post([chunked], '5;a="b\\"c"\r\nhello\r\n0\r\n\r\n'), { body: "hello" }),
  pass("three extensions", post([chunked], '5;a;b=c;d="e f"\r\nhello\r\n0\r\n\r\n'), { body: "hello" }),
  pass(
    "a hundred trailers, dropped",
    post([chunked], `5\r\nhello\r\n0\r\n${Array.from({ length: 100 }, (_, n) => `X-${n}: ${n}\r\n`).join("")}\r\n`),
    {
      body: "hello",
    },
  ),
  pass("trailers of what may be none, dropped", post([chunked], `5\r\nhello\r\n0\r\nHost: b.test\r\nAuthorization: b\r\n\r\n`), { body: "hello" }),
  pass("Expect in capitals", post(["EXPECT: 100-CONTINUE", "Content-Length: 5"], "hello"), { body: "hello" }),
  pass("Expect with chunks", post(["Expect: 100-continue", chunked], hello), { body: "hello" }),
  pass("Expect without a body", get("/", "Expect: 100-continue")),
]

/** What looks odd and must pass. */
export const odd: readonly EdgeCase[] = [
  ...methods,
  ...targets.map((target) => pass(`the target ${target.slice(0, 50)}`, get(target))),
  ...lines,
  ...many,
  ...named,
  ...places,
  ...bodies,
]
