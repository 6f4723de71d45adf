import { type RouteDefinition, routes } from "@meshwork/contract"
import { describe, expect, test } from "vitest"
import type { ZodType } from "zod"
import { arePlainNames, plainBodies } from "./plain-input.ts"

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

describe("bodies that are plain pass the rules as they are", () => {
  const load = { lagMs: 1.5, utilisation: 1, inFlight: 0 }
  const many = (count: number) => ({ beats: Array.from({ length: count }, () => ({ service: "a", id: "b" })) })
  const beat = { service: "a", id: "10.0.0.1:80", boot: "b" }
  const cases: [path: string, body: unknown, plain: boolean][] = [
    [routes.heartbeat.path, {}, true],
    [routes.heartbeat.path, { boot: "b" }, true],
    [routes.heartbeat.path, { boot: "x".repeat(256), load }, true],
    [routes.heartbeat.path, { load: {} }, true],
    [routes.heartbeats.path, { beats: [] }, true],
    [routes.heartbeats.path, { beats: [beat, { ...beat, load }] }, true],
    [routes.heartbeats.path, many(1000), true],
    ...[null, undefined, [], "x", 1, true].flatMap((body): [string, unknown, boolean][] => [
      [routes.heartbeat.path, body, false],
      [routes.heartbeats.path, body, false],
    ]),
    ...["", "x".repeat(257), 1, null, ["b"]].map((boot): [string, unknown, boolean] => [routes.heartbeat.path, { boot }, false]),
    ...[
      [],
      null,
      1,
      { lagMs: -1 },
      { lagMs: Number.POSITIVE_INFINITY },
      { lagMs: Number.NaN },
      { lagMs: "1" },
      { lagMs: null },
      { utilisation: 1.01 },
      { inFlight: 0.5 },
      { inFlight: 2 ** 53 },
      { other: 1 },
    ].map((sent): [string, unknown, boolean] => [routes.heartbeat.path, { load: sent }, false]),
    [routes.heartbeat.path, { boot: "b", other: 1 }, false],
    [routes.heartbeat.path, { service: "a" }, false],
    [routes.heartbeats.path, { beats: {} }, false],
    [routes.heartbeats.path, { beats: [], other: 1 }, false],
    [routes.heartbeats.path, many(1001), false],
    ...[
      { service: "a" },
      { id: "a" },
      {},
      null,
      [],
      { ...beat, other: 1 },
      { ...beat, id: ".." },
      { ...beat, service: 1 },
      { ...beat, load: { a: 1 } },
    ].map((sent): [string, unknown, boolean] => [routes.heartbeats.path, { beats: [beat, sent] }, false]),
  ]
  test.each(cases)("%s %j: %s", (path, body, plain) => {
    expect(plainBodies.get(path)?.(body)).toBe(plain)
    const rules = Object.values<RouteDefinition>(routes).find((route) => route.path === path)?.body as ZodType
    const { success, data } = rules.safeParse(body)
    if (plain) expect([success, data]).toEqual([true, body])
    // Nothing but an absent body, which means an empty one, needs the rules to pass.
    else expect(success).toBe(body === undefined && path === routes.heartbeat.path)
  })
})
