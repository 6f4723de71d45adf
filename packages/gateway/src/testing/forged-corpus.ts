import { chunked, crlf, type EdgeCase, get, hello, hidden, host, post, raw, refuse } from "./edge-case.ts"

/*
 * Requests that no client sends by mistake: dot segments and control characters in every encoding that a lax decoder undoes, hosts and targets
 * that two readers take for different places, values no header may have.
 */

const dots = [".", "%2e", "%2E", "%c0%ae", "%C0%AE", "%e0%80%ae", "%f0%80%80%ae"]
const slashes = ["/", "%2f", "%2F", "%c0%af", "%e0%80%af", "%f0%80%80%af"]

/** Each way to write a dot, alone, doubled and beside a plain one; each way to write the slashes around two dots. */
const segments = [
  ...dots.flatMap((dot) => [`/a/${dot}/b`, `/a/${dot}${dot}/b`, `/a/.${dot}/b`, `/a/${dot}.`, `/${dot}`, `/${dot}${dot}`]),
  ...slashes.flatMap((slash) => [`/a${slash}..${slash}b`, `/a${slash}.`, `/..${slash}a`, `/a${slash}%2e%2e${slash}b`]),
  ...dots
    .slice(1)
    .map((dot, index) => `/a${slashes[index % slashes.length]}${dot}${dots[(index + 2) % dots.length]}${slashes[(index + 3) % slashes.length]}b`),
  "/a/..?b",
  "/./?b",
  "//../a",
  "/a//../b",
  "/.//a",
  "/a/b/c/../../../../etc",
  "/%2e%2e%2f%2e%2e%2fetc",
]

const controls = [...Array.from({ length: 32 }, (_, index) => index), 0x7f]
const hex = (code: number): string => code.toString(16).padStart(2, "0")
const escaped = [
  ...controls.map((code) => `/a%${hex(code)}b`),
  "/%c0%80",
  "/%c0%8d%c0%8aX",
  "/%e0%80%80",
  "/%f0%80%80%80",
  "/%c1%bf",
  "/a%5Cb",
  "/a%c1%9cb",
  "/a%C1%9C..%C1%9Cb",
  "/a%e0%81%9cb",
  "/a%f0%80%81%9cb",
  "/a%u002fb",
  "/a%u2216b",
  "/%",
  "/%0",
  "/%0g",
  "/%%30",
  "/%-1",
  "/a% 20",
]

const rawTargets = [
  ...controls
    .filter((code) => code !== 0x0a && code !== 0x0d)
    .map((code) => refuse(`${hex(code)} in the path`, get(`/a${String.fromCharCode(code)}b`))),
  ...[0x01, 0x08, 0x0b, 0x1b, 0x7f].map((code) => refuse(`${hex(code)} in the query`, get(`/?a${String.fromCharCode(code)}b`))),
  ...[0x80, 0xa0, 0xc0, 0xff].map((code) => refuse(`the byte ${hex(code)} in the path`, get(`/a${String.fromCharCode(code)}b`))),
  refuse("a dot segment in overlong bytes", get("/\xc0\xae\xc0\xae/a")),
  refuse("a target in UTF-8 that is not escaped", get("/\xc3\xa4")),
]

const values = controls
  .filter((code) => ![0x09, 0x0a, 0x0d].includes(code))
  .flatMap((code) => [
    refuse(`${hex(code)} in a value`, get("/", `X: a${String.fromCharCode(code)}b`)),
    refuse(`${hex(code)} in Host`, raw(["GET / HTTP/1.1", `Host: edge${String.fromCharCode(code)}test`, "Connection: close"])),
  ])

const names = ['"', "(", ")", ",", "/", ";", "<", "=", ">", "?", "@", "[", "\\", "]", "{", "}", "\xe4", "\x80"].map((character) =>
  refuse(`a name with ${JSON.stringify(character)}`, get("/", `X${character}Y: a`)),
)

const hosts = [
  "edge.test:65536",
  "edge.test:100000",
  "edge.test:080000",
  "edge.test:8o",
  "edge.test:+80",
  "edge.test:80 ",
  "edge.test :80",
  ":80",
  ":",
  "http://edge.test",
  "//edge.test",
  "edge.test/",
  "edge.test?",
  "edge.test#",
  "a@edge.test",
  "a:b@edge.test",
  "edge.test;other.test,",
  "edge.test,other.test",
  "edge.test other.test",
  "edge.test\tother.test",
  "{edge.test}",
  "edge|test",
  "edge^test",
  "edge`test",
  "edge<test>",
  "edge%",
  "edge%0",
  "edge%zz",
  "edge%00.other.test",
  "edge%0d%0a",
  "edge%7f",
  "[::1",
  "::1]",
  "[::1]]",
  "[[::1]]",
  "[]",
  "[:]",
  "[:::]",
  "[1.2.3.4]",
  "[::1%25eth0]",
  "[fe80::1%eth0]",
  "[::g]",
  "[::1]a",
  "[::1]:a",
  "[1:2:3:4:5:6:7:8:9]",
  "\xe4.test",
]
  .map((value) => value.trimEnd())
  .filter((value) => value !== "edge.test:80")
  .map((value) => refuse(`the Host ${JSON.stringify(value)}`, raw(["GET / HTTP/1.1", `Host: ${value}`, "Connection: close"])))

const absolute = [
  "http://",
  "http:///",
  "http://:80/",
  "http://other.test/",
  "http://edge.test.other.test/",
  "http://other.test:80@edge.test/",
  "http://edge.test@other.test/",
  "http://edge.test:8080/",
  "http://edge.test:80:80/",
  "http://edge.test%2f/",
  "http://edge.test%00/",
  "http://edge.test;/",
  "http://edge.test\\a/",
  "http://edge.test#a",
  "http://edge.test?#a",
  "http://edge.test/..",
  "http://edge.test/%2e%2e/a",
  "http://edge.test/a\\b",
  "http:edge.test",
  "http:/edge.test/",
  "http//edge.test/",
  "httpx://edge.test/",
  "ws://edge.test/",
  "file:///etc/passwd",
  "javascript:alert(1)",
  "urn:a",
  "edge.test/",
  "edge.test",
  "edge.test:80",
  "a",
  "?a=b",
  "#a",
  "*a",
  "**",
  "../a",
  "./a",
  "%2fa",
  "\\a",
].map((target) => refuse(`the target ${target}`, get(target)))

const firstLines = [
  "GET / ICE/1.0",
  "GET / HTTP/1.1 ",
  "GET / HTTP/1.1\t",
  "GET /\tHTTP/1.1",
  "GET\x0c/ HTTP/1.1",
  "GET/ HTTP/1.1",
  "GET /HTTP/1.1",
  "GET / HTTP /1.1",
  "GET / HTTP/ 1.1",
  "GET / HTTP/1. 1",
  "GET / HTTP/1.1.1",
  "GET / HTTP/1.10",
  "GET / HTTP/11.1",
  "GET / HTTP/1",
  "GET / HTTP/3.0",
  "GET / HTTP/9.9",
  "GET / HTTP/0.0",
  "GET / HTTP/-1.1",
  "GET / HTTP/1.x",
  "GET / HTTP/",
  "GET / HTTP",
  "GET / HTP/1.1",
  "GET / Http/1.1",
  "GET / HTTP\\1.1",
  "GETX / HTTP/1.1",
  "Get / HTTP/1.1",
  "GET: / HTTP/1.1",
  "(GET) / HTTP/1.1",
  '"GET" / HTTP/1.1',
  "GET, POST / HTTP/1.1",
  "/ HTTP/1.1",
  "HTTP/1.1 GET /",
  "* / HTTP/1.1",
  "POST * HTTP/1.1",
  "HEAD * HTTP/1.1",
  "OPTIONS ** HTTP/1.1",
  "OPTIONS *?a HTTP/1.1",
  "OPTIONS edge.test:80 HTTP/1.1",
  "CONNECT / HTTP/1.1",
  "CONNECT edge.test HTTP/1.1",
  "CONNECT http://edge.test/ HTTP/1.1",
  "M-SEARCH * HTTP/1.1",
].map((line) => refuse(`the line ${JSON.stringify(line)}`, raw([line, host, "Connection: close"])))

const framing = [
  ...["GET", "HEAD", "TRACE"].flatMap((method) => [
    refuse(`${method} with a length of 1`, raw([`${method} / HTTP/1.1`, host, "Content-Length: 1"], "a")),
    refuse(`${method} with one byte in chunks`, raw([`${method} / HTTP/1.1`, host, chunked], `1\r\na\r\n0\r\n\r\n`)),
    refuse(
      `${method} with a request in chunks`,
      raw([`${method} / HTTP/1.1`, host, chunked], `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`),
    ),
    refuse(`${method} with chunks that are none of theirs`, raw([`${method} / HTTP/1.1`, host, chunked], `0\r\n${hidden}`)),
    refuse(`${method} with chunks and a length`, raw([`${method} / HTTP/1.1`, host, chunked, "Content-Length: 0"], `0${crlf}${crlf}`)),
  ]),
  ...[
    "1 ",
    "1\t1",
    "1,",
    ",1",
    "1;",
    "one",
    "1e1",
    "0x1",
    "1h",
    "1.",
    ".1",
    "--1",
    "1-",
    "(1)",
    "1 (a)",
    '"1"',
    "'1'",
    "$1",
    "1/1",
    "１",
    "9".repeat(16),
    "1".repeat(40),
  ]
    .filter((value) => value.trim() !== "1")
    .map((value) => refuse(`the length ${JSON.stringify(value)}`, post([`Content-Length: ${value}`], "a"))),
  refuse("three lengths", post(["Content-Length: 1", "Content-Length: 1", "Content-Length: 1"], "a")),
  refuse("chunks in HTTP/1.0 by absolute-form", raw(["POST http://edge.test/ HTTP/1.0", chunked], hello)),
  refuse("chunks three times", post([chunked, chunked, chunked], hello)),
  refuse("chunks and a length in HTTP/1.0", post([chunked, "Content-Length: 5"], hello, "HTTP/1.0")),
]

const hostLines = [
  ["in small letters too", ["Host: edge.test", "host: edge.test"]],
  ["three times", ["Host: edge.test", "Host: edge.test", "Host: edge.test"]],
  ["and an empty one", ["Host: edge.test", "Host:"]],
  ["far from the first", ["Host: edge.test", "X: a", "Y: b", "Host: other.test"]],
  ["folded", ["Host: edge.test", " other.test"]],
  ["with a blank before the colon", ["Host : edge.test"]],
  ["with a blank before it", [" Host: edge.test"]],
  ["with an underscore for its only one", ["Ho_st: edge.test"]],
  ["as X-Host only", ["X-Host: edge.test"]],
].map(([name, lines]) => refuse(`Host ${String(name)}`, raw(["GET / HTTP/1.1", "Connection: close", ...(lines as string[])])))

/** What is forged and must not pass. */
export const forged: readonly EdgeCase[] = [
  ...[...new Set([...segments, ...escaped])].map((target) => refuse(`the target ${target}`, get(target))),
  ...rawTargets,
  ...values,
  ...names,
  ...hosts,
  ...absolute,
  ...firstLines,
  ...framing,
  ...hostLines,
]
