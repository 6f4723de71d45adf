import { describe, expect, it } from "vitest"
import { admit } from "./guard.ts"

const host = ["Host", "a.test"]
const bare = (method: string, url: string, rawHeaders: string[], httpVersion = "1.1") => admit({ method, url, rawHeaders, httpVersion })
const inspect = (method: string, url: string, headers: string[] = [], version = "1.1") => bare(method, url, [...host, ...headers], version)

describe("refuses", () => {
  it.each([
    ["GET", "/", ["Host", "a.test"], "more than one Host header"],
    ["GET", "/", ["hOST", "b.test"], "more than one Host header"],
    ["POST", "/", ["Transfer-Encoding", "gzip, chunked"], "the Transfer-Encoding is not chunked"],
    ["POST", "/", ["Transfer-Encoding", "chunked", "transfer-encoding", "chunked"], "more than one Transfer-Encoding header"],
    ["POST", "/", ["Transfer-Encoding", "chunked", "Content-Length", "3"], "both Transfer-Encoding and Content-Length"],
    ["POST", "/", ["Content-Length", "3", "Content-Length", "3"], "more than one Content-Length header"],
    ["POST", "/", ["Content-Length", "+3"], "the Content-Length is not one number"],
    ["GET", "/", ["Content-Length", "3"], "GET with a body"],
    ["HEAD", "/", ["Content-Length", "007"], "HEAD with a body"],
    ["CONNECT", "a.test:443", [], "CONNECT is not served here"],
    ["GET", "*", [], "the request target is neither a path nor a URL"],
    ["GET", "a", [], "the request target is neither a path nor a URL"],
    ["GET", "http://b.test/", [], "the request target and the Host header name different hosts"],
    ["GET", "http://user@a.test/", [], "the request target and the Host header name different hosts"],
    ["GET", "http://a.test/../b", [], "the path has a dot segment"],
    ["GET", "/a?b#c", [], "the target has a fragment (#)"],
    ["GET", "/a?b\tc", [], "the query has a blank or a control character"],
  ])("%s %s %j: %s", (method, url, headers, reason) => {
    expect(inspect(method, url, headers)).toBe(reason)
  })

  it("what HTTP versions do not have", () => {
    expect(bare("GET", "/", [])).toBe("no Host header")
    expect(bare("GET", "/", host, "2.0")).toBe("HTTP/2.0 is not spoken here")
    expect(inspect("POST", "/", ["Transfer-Encoding", "chunked"], "1.0")).toBe("HTTP/1.0 has no Transfer-Encoding")
  })

  it.each(["a b", "a/b", "u@a", "a,b", "a:b", "a#b", "a?b", "a\\b", 'a"', "[::1", "a:123456"])("Host %j", (value) => {
    expect(bare("GET", "/", ["Host", value])).toBe("the Host header is not host:port")
  })

  it.each([
    ["/..", "dot segment"],
    ["/a/.", "dot segment"],
    ["/a/%2e%2E/b", "dot segment"],
    ["/.%2e", "dot segment"],
    ["/a%2f..%2Fb", "dot segment"],
    ["/a/%c0%ae%C0%AE/b", "dot segment"],
    ["/a/%e0%80%ae/b", "dot segment"],
    ["/a/%F0%80%80%AE./b", "dot segment"],
    ["/a%c0%af..%e0%80%afb", "dot segment"],
    ["/a%c1%9cb", "control character or backslash"],
    ["/a%e0%81%9cb", "control character or backslash"],
    ["/a%C0%80", "control character or backslash"],
    ["/a%f0%80%80%8a", "control character or backslash"],
    ["/a%c1%bf", "control character or backslash"],
    ["/a%5cb", "control character or backslash"],
    ["/a\\b", "backslash"],
    ["/a%00", "control character or backslash"],
    ["/a%7F", "control character or backslash"],
    ["/a%0d%0ab", "control character or backslash"],
    ["/a%zz", "two hexadecimal digits"],
    ["/a%", "two hexadecimal digits"],
    ["/a b", "blank or a control character"],
    ["/\u0100", "not a byte"],
    ["/#", "fragment"],
  ])("path %j for its %s", (path, reason) => {
    expect(inspect("GET", path)).toContain(reason)
    expect(inspect("GET", `${path}?x`)).toContain(reason)
  })
})

describe("passes", () => {
  it.each([
    "/",
    "//a",
    "/...",
    "/..a",
    "/a..",
    "/.well-known",
    "/%2e%2e%2e",
    "/%252e%252e/",
    "/%c2%80%df%bf",
    "/%c0",
    "/%c1%bc",
    "/%e0%a0%80",
    "/a%2Fb",
    "/\xe4",
    "/a:b@c;d,e~",
  ])("path %s as it is", (path) => {
    expect(inspect("GET", path)).toMatchObject({ target: path, path })
  })

  it.each(["/a?", "/a?b=../c", "/a?b=%00", "/a?b?c", "/a?b=\\"])("query of %s as it is", (target) => {
    expect(inspect("GET", target)).toMatchObject({ target, path: "/a" })
  })

  it.each([
    ["A.test:8080", "a.test"],
    ["[::1]:80", "[::1]"],
    ["[::1]", "[::1]"],
    ["my_service", "my_service"],
    ["127.0.0.1:", "127.0.0.1"],
    ["a.test.:80", "a.test"],
    ["", ""],
  ])("Host %j as %j", (value, host) => {
    expect(bare("GET", "/", ["Host", value])).toMatchObject({ host, authority: value })
  })

  it("absolute-form that agrees with Host, and sends the path on", () => {
    expect(inspect("GET", "HTTP://A.test:80?x")).toMatchObject({ target: "/?x", path: "/", host: "a.test" })
    expect(bare("GET", "http://a.test/b", [], "1.0")).toMatchObject({ target: "/b", host: "a.test", authority: "a.test" })
  })

  it("framing that every parser reads alike", () => {
    expect(inspect("POST", "/", ["TRANSFER-ENCODING", "CHUNKED"])).toMatchObject({ hasBody: true })
    expect(inspect("POST", "/", ["content-length", "3"])).toMatchObject({ hasBody: true })
    expect(inspect("GET", "/", ["Content-Length", "0"])).toMatchObject({ hasBody: false })
    expect(admit({ method: "GET", url: "/", rawHeaders: [...host, "Content-Length", "3"], httpVersion: "1.1" }, () => true)).toMatchObject({
      hasBody: true,
    })
    expect(inspect("POST", "/", ["content-length", `${"0".repeat(30)}3`])).toMatchObject({ hasBody: true })
    expect(inspect("GET", "/", ["Transfer-Encoding", "chunked"])).toMatchObject({ hasBody: false, mustBeEmpty: true })
    expect(inspect("POST", "/", ["Transfer-Encoding", "chunked"])).toMatchObject({ hasBody: true, mustBeEmpty: false })
  })

  it("OPTIONS of the server itself in either form", () => {
    expect(inspect("OPTIONS", "*")).toMatchObject({ target: "*" })
    expect(inspect("OPTIONS", "http://a.test")).toMatchObject({ target: "*" })
    expect(inspect("OPTIONS", "http://a.test/")).toMatchObject({ target: "/" })
  })
})
