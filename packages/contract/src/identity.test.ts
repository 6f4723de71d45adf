import { describe, expect, it } from "vitest"
import { formatHostPort, instanceIdSchema, normalizeHost, parseHostPort, serviceNameSchema } from "./identity.ts"

describe("service names and instance ids", () => {
  it.each(["a", "payment", "Order Service", "x:1", "a~b", "x".repeat(128)])("accepts the service name %j", (name) => {
    expect(serviceNameSchema.parse(name)).toBe(name)
  })
  it.each(["", " a", "a ", ".", "..", "a/b", "ä", "a\u0000", "a\n", "x".repeat(129)])("refuses the service name %j", (name) => {
    expect(serviceNameSchema.safeParse(name).success).toBe(false)
  })
  it.each(["127.0.0.1:80", "[::1]:80", "0123456789ab", "x".repeat(256)])("accepts the id %j", (id) => {
    expect(instanceIdSchema.parse(id)).toBe(id)
  })
  it.each(["", "a b", "a/b", ".", "..", "x".repeat(257)])("refuses the id %j", (id) => {
    expect(instanceIdSchema.safeParse(id).success).toBe(false)
  })
})

describe("hosts", () => {
  it.each([
    ["LocalHost", "localhost"],
    ["API.Example.com", "api.example.com"],
    ["my_container", "my_container"],
    ["10.0.0.7", "10.0.0.7"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["[::1]", "::1"],
  ])("spells %s as %s", (given, spelled) => {
    expect(normalizeHost(given)).toBe(spelled)
  })
  it.each(["", "a b", "-a", "a..b", "1.2.3", "010.0.0.1", "256.1.1.1", "fe80::1%eth0", "[localhost]", "a/b", "a:80", "x".repeat(64)])(
    "refuses %j",
    (given) => {
      expect(normalizeHost(given)).toBeUndefined()
    },
  )
  it("puts brackets around IPv6 only inside host:port", () => {
    expect(formatHostPort("::1", 80)).toBe("[::1]:80")
    expect(formatHostPort("a", 80)).toBe("a:80")
  })
  it.each([
    ["a:80", { host: "a", port: 80 }],
    ["[::1]:80", { host: "::1", port: 80 }],
    ["::1:80", undefined],
    ["a", undefined],
    ["a:0", undefined],
    ["a:65536", undefined],
    ["http://a:80", undefined],
  ])("reads %s", (text, parsed) => {
    expect(parseHostPort(text)).toEqual(parsed)
  })
})
