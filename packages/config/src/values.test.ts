import { expect, it } from "vitest"
import { suggest } from "./suggestion.ts"
import { addressBlock, parseAddress, parseDuration, requestPath, serverUrl } from "./values.ts"

it.each([
  ["10s", 10_000],
  ["250ms", 250],
  ["2m", 120_000],
  ["1h", 3_600_000],
  ["1.5s", 1500],
  [3, 3000],
  [0.25, 250],
  ["3", 3000],
  ["10 s", 10_000],
  ["", undefined],
  ["10x", undefined],
  ["-1s", undefined],
  [Number.NaN, undefined],
  [null, undefined],
  [true, undefined],
])("the duration %j is %s ms", (found, ms) => {
  expect(parseDuration(found)).toBe(ms)
})

it.each([
  ["127.0.0.1:9001", { scheme: "http", host: "127.0.0.1", port: 9001 }],
  ["HOST.example", { scheme: "http", host: "host.example", port: 80 }],
  ["https://h", { scheme: "https", host: "h", port: 443 }],
  ["http://h:81/", { scheme: "http", host: "h", port: 81 }],
  ["tcp://h:5432", { scheme: "tcp", host: "h", port: 5432 }],
  ["[0:0::1]:80", { scheme: "http", host: "::1", port: 80 }],
  ["tcp://h", undefined],
  ["h:0", undefined],
  ["h:65536", undefined],
  ["::1", undefined],
  ["http://u:p@h", undefined],
  ["http://h/path", undefined],
  ["ftp://h:1", undefined],
  ["999.1.1.1:1", undefined],
  [8080, undefined],
])("the address %j is %j", (found, address) => {
  expect(parseAddress(found)).toEqual(address)
})

it.each([
  ["/", true],
  ["/api/%2F", true],
  ["/a//b", true],
  ["api", false],
  ["/a?b", false],
  ["/a#b", false],
  ["/a b", false],
  ["/a\\b", false],
  ["/a/../b", false],
  ["/a/%2E%2e", false],
  ["/a%2f..%2fb", false],
  ["/é", false],
  [`/${"a".repeat(2048)}`, false],
])("the path %j is accepted: %s", (path, accepted) => {
  expect(requestPath.safeParse(path).success).toBe(accepted)
})

it.each([
  ["http://127.0.0.1:8008", "http://127.0.0.1:8008"],
  ["http://H:1/", "http://h:1"],
  ["https://h/mesh/", "https://h/mesh"],
  ["http://u@h", undefined],
  ["h:1", undefined],
  ["http://h?x", undefined],
  ["http://", undefined],
])("the server URL %j is %j", (found, url) => {
  expect(serverUrl.safeParse(found).data).toBe(url)
})

it.each([
  ["prot", "port"],
  ["path_prefix", "pathPrefix"],
  ["Timeout", "timeout"],
  ["tiemout", "timeout"],
  ["zzz", undefined],
  ["x".repeat(10_000), undefined],
])("for %s suggests %s", (text, suggestion) => {
  expect(suggest(text, ["port", "path", "pathPrefix", "timeout"])).toBe(suggestion)
})

it.each(["10.0.0.7", "10.0.0.0/8", "0.0.0.0/0", "::1", "fd00::/8"])("%s is an address or a block", (text) => {
  expect(addressBlock.safeParse(text).data).toBe(text)
})

it.each(["", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "::1/129", "host", "10.0.0.0/-1", 7])(
  "%s is neither an address nor a block",
  (found) => {
    expect(addressBlock.safeParse(found).success).toBe(false)
  },
)
