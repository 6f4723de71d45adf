import { describe, expect, it, test } from "vitest"
import { assertGuarded, createAuthorize, isLoopback } from "./access.ts"

describe("authorize", () => {
  const authorize = createAuthorize([
    { name: "ci", token: "secret-1" },
    { name: "ops", token: "secret-2" },
  ])

  test.each([
    { header: "Bearer secret-1", caller: "ci" },
    { header: "Bearer secret-2", caller: "ops" },
    { header: "bearer  secret-2 ", caller: "ops" },
  ])("names the owner of '$header'", ({ header, caller }) => {
    expect(authorize(header, "10.0.0.1")).toBe(caller)
  })

  test.each([undefined, "", "Bearer", "Bearer ", "Bearer secret", "Bearer secret-11", "Basic secret-1", "Bearer secret-1 secret-2"])(
    "refuses '%s'",
    (header) => {
      expect(() => authorize(header, "127.0.0.1")).toThrow(
        expect.objectContaining({ code: "unauthorized", message: expect.not.stringContaining("secret-") }),
      )
    },
  )

  it("without tokens names the address", () => {
    expect(createAuthorize([])(undefined, "10.0.0.1")).toBe("api 10.0.0.1")
  })

  it("refuses an empty token", () => {
    expect(() => createAuthorize([{ name: "ci", token: "" }])).toThrow(expect.objectContaining({ code: "invalid_config" }))
  })
})

test.each([
  ["127.0.0.1", true],
  ["127.9.9.9", true],
  ["::1", true],
  ["[::1]", true],
  ["0:0:0:0:0:0:0:1", true],
  ["LocalHost", true],
  ["0.0.0.0", false],
  ["::", false],
  ["10.0.0.1", false],
  ["127.0.0.1.example.com", false],
  ["localhost.example.com", false],
])("%s is loopback: %s", (host, loopback) => {
  expect(isLoopback(host)).toBe(loopback)
})

test.each([
  { host: "127.0.0.1", tokens: [], insecure: false, refused: false },
  { host: "0.0.0.0", tokens: [], insecure: false, refused: true },
  { host: "0.0.0.0", tokens: [], insecure: true, refused: false },
  { host: "0.0.0.0", tokens: [{ name: "ci", token: "x" }], insecure: false, refused: false },
])("$host with $tokens.length tokens, insecure $insecure: refused $refused", ({ refused, ...options }) => {
  const attempt = () => assertGuarded(options)
  if (refused)
    expect(attempt).toThrow(expect.objectContaining({ code: "invalid_config", message: expect.stringMatching(/--token-file.*--insecure/) }))
  else expect(attempt).not.toThrow()
})

it("two names with one text are refused", () => {
  const same = [
    { name: "a", token: "x" },
    { name: "b", token: "x" },
  ]
  expect(() => createAuthorize(same)).toThrow("two tokens have the same text")
})
