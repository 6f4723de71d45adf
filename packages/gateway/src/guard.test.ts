import { expect, it } from "vitest"
import { inspect } from "./guard.ts"

const host = ["Host", "Edge.test:8080"]

it.each([
  ["two Hosts", "GET", "/", [...host, "host", "b"], "1.1", "more than one Host"],
  ["no Host", "GET", "/", [], "1.1", "Host header is missing"],
  ["a Host with a user", "GET", "/", ["Host", "u@a"], "1.1", "not a host and a port"],
  ["two lengths", "POST", "/", [...host, "Content-Length", "1", "content-length", "1"], "1.1", "more than one Content-Length"],
  ["a signed length", "POST", "/", [...host, "Content-Length", "+1"], "1.1", "not a plain number"],
  ["both framings", "POST", "/", [...host, "Content-Length", "1", "Transfer-Encoding", "chunked"], "1.1", "together with"],
  ["another encoding", "POST", "/", [...host, "Transfer-Encoding", "gzip, chunked"], "1.1", "other than chunked"],
  ["chunks twice", "POST", "/", [...host, "Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"], "1.1", "more than one Transfer"],
  ["chunks in 1.0", "POST", "/", [...host, "Transfer-Encoding", "chunked"], "1.0", "HTTP/1.0"],
  ["HTTP/2.0 in clear", "GET", "/", host, "2.0", "not spoken"],
  ["CONNECT", "CONNECT", "a:443", host, "1.1", "not offered"],
  ["another authority", "GET", "http://other/", host, "1.1", "another host"],
  ["an authority with a user", "GET", "http://u@edge.test:8080/", host, "1.1", "authority"],
  ["another scheme", "GET", "ftp://edge.test:8080/", host, "1.1", "neither a path"],
  ["a star for GET", "GET", "*", host, "1.1", "OPTIONS only"],
  ["a fragment", "GET", "/a#b", host, "1.1", "percent-encoded"],
  ["a raw byte", "GET", "/\xe4", host, "1.1", "percent-encoded"],
  ["a fragment in the query", "GET", "/a?b#c", host, "1.1", "percent-encoded"],
  ["an encoded dot segment", "GET", "/a%2f%2E./b", host, "1.1", "dot segment"],
  ["an encoded backslash", "GET", "/a%5Cb", host, "1.1", "backslash"],
  ["an encoded control character", "GET", "/a%1Fb", host, "1.1", "control character"],
  ["half an escape", "GET", "/a%4", host, "1.1", "malformed"],
] as const)("refuses %s", (_, method, url, headers, version, why) => {
  expect(inspect(method, url, headers, version).refusal).toContain(why)
})

it.each([
  ["/a/...", "/a/..."],
  ["/a?x=/../%2e%2e/%zz\\", "/a"],
  ["/.well-known", "/.well-known"],
  ["/%252e%252e/", "/%252e%252e/"],
  ["//a//b", "//a//b"],
])("passes %s as it is", (url, path) => {
  expect(inspect("GET", url, host, "1.1")).toMatchObject({ target: url, path, host: "edge.test", hasBody: false })
})

it("reads the absolute form", () => {
  expect(inspect("GET", "http://EDGE.test:8080?q", host, "1.1")).toMatchObject({ target: "/?q", path: "/" })
})

it("tells a body where none is usual", () => {
  expect(inspect("GET", "/", [...host, "Content-Length", "3"], "1.1")).toMatchObject({ hasBody: true, unexpectedBody: true, contentLength: 3 })
  expect(inspect("GET", "/", [...host, "Content-Length", "0"], "1.1")).toMatchObject({ hasBody: false, unexpectedBody: false })
  expect(inspect("DELETE", "/", [...host, "Transfer-Encoding", "Chunked"], "1.1")).toMatchObject({ hasBody: true, unexpectedBody: false, chunked: true })
})

it("an IPv6 host keeps its brackets", () => {
  expect(inspect("GET", "/", ["Host", "[::1]:80"], "1.1")).toMatchObject({ host: "[::1]" })
})
