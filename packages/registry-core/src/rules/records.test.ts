import { describe, expect, it } from "vitest"
import { sampleRecord, sampleRegistration } from "../testing/index.ts"
import { derived } from "./derive.ts"
import { mergePatch, patched } from "./patch.ts"
import { registered } from "./register.ts"
import { sameRecord } from "./same-record.ts"

const key = { service: "a", id: "1" }
const context = { origin: "api", now: 5, keeper: "server-1" } as const

describe("register", () => {
  it("keeps fields of a later version, which the caller cannot have meant to remove", () => {
    const current = sampleRecord("a", "1", { invented: { deep: true }, boot: "x" })
    expect(registered(current, key, sampleRegistration({ boot: "x" }), context)).toMatchObject({ invented: { deep: true } })
    expect(registered(current, key, sampleRegistration({ boot: "y" }), context)).toMatchObject({ invented: { deep: true }, registeredAt: 5 })
  })

  it("forgets that the instance was suspect", () => {
    const current = sampleRecord("a", "1", { suspect: { since: 1, until: 2, reason: "silent" } })
    expect(registered(current, key, sampleRegistration(), context).suspect).toBeUndefined()
  })

  it("names a keeper only where there is a lease to keep", () => {
    expect(registered(undefined, key, sampleRegistration(), context).keeper).toBe("server-1")
    expect(registered(sampleRecord("a", "1", { keeper: "old" }), key, sampleRegistration({ ttlSeconds: 0 }), context).keeper).toBeUndefined()
  })
})

describe("patch", () => {
  it.each([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])("merges %j with %j as the examples of RFC 7396 do", (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result)
  })

  it("that changes nothing is the same record", () => {
    const record = sampleRecord("a", "1", { override: { weight: 5, by: "ann", at: 1 } })
    expect(patched(record, { weight: 5 }, { by: "bob", own: false, now: 9 })).toBe(record)
    expect(patched(record, {}, { by: "bob", own: false, now: 9 })).toBe(record)
    expect(patched(record, { state: null }, { by: "itself", own: true, now: 9 })).toBe(record)
  })
})

describe("what subscribers see", () => {
  it.each([
    ["an operator's weight wins", { weight: 1, override: { weight: 9, by: "ann", at: 1 } }, { weight: 9, state: "up", standing: "serving" }],
    [
      "whoever asks for less traffic wins",
      { state: "draining", override: { state: "up", by: "ann", at: 1 } },
      { state: "draining", standing: "draining" },
    ],
    [
      "an operator's disabling wins over draining",
      { state: "draining", override: { state: "disabled", by: "ann", at: 1 } },
      { state: "disabled", standing: "out", why: "disabled by ann" },
    ],
    ["suspects say why", { suspect: { since: 1, until: 2, reason: "silent" } }, { standing: "suspect", why: "silent" }],
  ])("%s", (_title, changes, seen) => {
    const instance = derived(sampleRecord("a", "1", { ...changes, keeper: "k" }))
    expect(instance).toMatchObject(seen)
    for (const hidden of ["override", "keeper", "format", "suspect"]) expect(instance).not.toHaveProperty(hidden)
  })
})

it.each([
  ["another order of fields", { tags: { a: 1, b: 2 } }, { tags: { b: 2, a: 1 } }, true],
  ["another keeper", { keeper: "x" }, { keeper: "y" }, true],
  ["another order of a list", { tags: { a: [1, 2] } }, { tags: { a: [2, 1] } }, false],
  ["another boot", { boot: "x" }, { boot: "y" }, false],
])("records with %s are told apart where it matters", (_title, a, b, same) => {
  expect(sameRecord(sampleRecord("a", "1", a), sampleRecord("a", "1", b))).toBe(same)
})
