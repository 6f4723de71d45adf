import { describe, expect, it } from "vitest"
import { effectiveState, standingOf } from "./standing.ts"

const passing = { status: "passing", reason: "answered 200" } as const
const failing = { status: "failing", reason: "refused" } as const
const unknown = { status: "unknown", reason: "" } as const
const check = { method: "http" } as const

describe("standing", () => {
  it.each([
    ["up, passing", { state: "up", health: passing, check }, "serving"],
    ["up, unknown, no check", { state: "up", health: unknown }, "serving"],
    ["up, unknown, a declared check", { state: "up", health: unknown, check }, "out"],
    ["up, failing", { state: "up", health: failing, check }, "out"],
    ["up, passing, suspect", { state: "up", health: passing, check, suspect: "lease ran out" }, "suspect"],
    ["up, failing, suspect", { state: "up", health: failing, check, suspect: "lease ran out" }, "out"],
    ["draining, passing", { state: "draining", health: passing, check }, "draining"],
    ["draining, failing", { state: "draining", health: failing, check }, "out"],
    ["disabled, passing", { state: "disabled", health: passing, check }, "out"],
  ] as const)("of %s", (_title, input, standing) => {
    const result = standingOf(input)
    expect(result.standing).toBe(standing)
    expect(result.why).not.toBe("")
  })
})

describe("the state that counts", () => {
  it.each([
    [undefined, undefined, "up"],
    ["draining", undefined, "draining"],
    [undefined, "disabled", "disabled"],
    ["draining", "up", "draining"],
    ["draining", "disabled", "disabled"],
    ["up", "draining", "draining"],
  ] as const)("own %s and override %s make %s", (own, wanted, state) => {
    const record = { ...(own ? { state: own } : {}), ...(wanted ? { override: { state: wanted, by: "ops", at: 1 } } : {}) }
    expect(effectiveState(record)).toBe(state)
  })
})
