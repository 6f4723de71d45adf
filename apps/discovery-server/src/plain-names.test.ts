import { type RouteDefinition, routes } from "@meshwork/contract"
import { describe, expect, test } from "vitest"
import { arePlainNames } from "./plain-names.ts"

const plain = ["a", "Z9", "10.0.0.1:8080", "i-0a_b", "x".repeat(128), "0..", "a-"]
const others = ["", ".", "..", ".a", "-a", "a b", "a/b", "ä", "a\n", "x".repeat(129), "a\0"]

test.each(plain)("%j is plain", (value) => expect(arePlainNames({ service: "a", id: value })).toBe(true))
test.each(others)("%j is not", (value) => expect(arePlainNames({ service: "a", id: value })).toBe(false))

describe("what is plain passes the rules of every path", () => {
  const withParams = Object.entries<RouteDefinition>(routes).filter(([, route]) => route.params !== undefined)
  test.each(withParams)("%s", (_, { path, params }) => {
    const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? "")
    expect(names.length).toBeGreaterThan(0)
    for (const value of plain) {
      const sent = Object.fromEntries(names.map((name) => [name, value]))
      expect(params?.safeParse(sent)).toEqual({ success: true, data: sent })
    }
  })
})
