import { describe, expect, it } from "vitest"
import { instanceRecordSchema, registrationSchema } from "./service-model.ts"

const minimal = { host: "10.0.0.1", port: 9000 }

describe("a registration", () => {
  it("fills in what is left out", () => {
    expect(registrationSchema.parse(minimal)).toEqual({ ...minimal, scheme: "http", priority: "med", tags: {}, ttlSeconds: 30 })
  })
  it("fills in a check", () => {
    expect(registrationSchema.parse({ ...minimal, check: { method: "http", path: "/health" } }).check).toEqual({
      method: "http",
      path: "/health",
      frequencySeconds: 60,
      timeoutSeconds: 5,
      retries: 0,
      retryDelaySeconds: 0,
      passAfter: 1,
      failAfter: 1,
      packetLimit: 5000,
    })
  })
  it("keeps how a check deals with certificates, and how it pings", () => {
    const check = { method: "ping", icmp: true, insecure: true }
    expect(registrationSchema.parse({ ...minimal, check }).check).toMatchObject(check)
    expect(registrationSchema.safeParse({ ...minimal, check: { ...check, icmp: "yes" } }).success).toBe(false)
  })
  it("names unknown fields", () => {
    const result = registrationSchema.safeParse({ ...minimal, wieght: 3, check: { method: "http", pfad: "/" } })
    expect(result.error?.issues.flatMap((issue) => (issue.code === "unrecognized_keys" ? issue.keys : []))).toEqual(["pfad", "wieght"])
  })
  it.each([
    { port: 0 },
    { port: 65_536 },
    { port: 80.5 },
    { port: "80" },
    { host: "" },
    { weight: 0 },
    { weight: 101 },
    { weight: 1.5 },
    { ttlSeconds: 2 },
    { ttlSeconds: 86_401 },
    { ttlSeconds: -1 },
    { scheme: "ftp" },
    { priority: "medium" },
    { tags: [] },
    { tags: { big: "x".repeat(16 * 1024) } },
    { zone: undefined },
    { check: { method: "icmp" } },
    { check: { method: "http", path: "health" } },
    { check: { method: "http", path: "/a b" } },
  ])("refuses %j", (wrong) => {
    expect(registrationSchema.safeParse({ ...minimal, ...wrong }).success).toBe(false)
  })
  it.each([0, 3, 86_400])("accepts a ttl of %d s", (ttlSeconds) => {
    expect(registrationSchema.parse({ ...minimal, ttlSeconds }).ttlSeconds).toBe(ttlSeconds)
  })
})

it("a stored record keeps fields of other versions", () => {
  const record = {
    ...registrationSchema.parse({ ...minimal, check: { method: "ping" } }),
    service: "a",
    id: "1",
    origin: "api",
    registeredAt: 1,
    health: { status: "unknown", since: 1, reason: "", by: "", later: 1 },
    format: 9,
    later: { deep: true },
  }
  expect(instanceRecordSchema.parse(record)).toEqual(record)
})
