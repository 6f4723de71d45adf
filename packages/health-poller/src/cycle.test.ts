import { describe, expect, it, test } from "vitest"
import { firstDueMs, nextCycle } from "./cycle.ts"

const check = { frequencySeconds: 10, retries: 2, retryDelaySeconds: 0.5 }
const middle = () => 0.5

test.each([
  { what: "a success ends the cycle", failed: 0, ok: true, step: { next: "conclude", ok: true, afterMs: 10_000 } },
  { what: "a success after failures ends it as a success", failed: 2, ok: true, step: { next: "conclude", ok: true, afterMs: 10_000 } },
  { what: "a first failure is tried again after the retry delay", failed: 0, ok: false, step: { next: "retry", failed: 1, afterMs: 500 } },
  { what: "the last retry is one of `retries`", failed: 1, ok: false, step: { next: "retry", failed: 2, afterMs: 500 } },
  { what: "a failure after all retries ends the cycle as a failure", failed: 2, ok: false, step: { next: "conclude", ok: false, afterMs: 10_000 } },
])("$what", ({ failed, ok, step }) => {
  expect(nextCycle(check, failed, ok, middle)).toEqual(step)
})

it("waits the frequency give or take 5 %", () => {
  expect(nextCycle(check, 0, true, () => 0).afterMs).toBe(9500)
  expect(nextCycle(check, 0, true, () => 0.999_999).afterMs).toBeCloseTo(10_500, 1)
})

test.each([
  { lateMs: 0, afterMs: 10_000 },
  { lateMs: 200, afterMs: 9800 },
  { lateMs: 500, afterMs: 9500 },
  { lateMs: 501, afterMs: 10_000 },
])("makes up for $lateMs ms that a probe began late", ({ lateMs, afterMs }) => {
  expect(nextCycle(check, 0, true, middle, lateMs).afterMs).toBe(afterMs)
})

it("comes no sooner than 5 % early, and leaves the retry delay alone", () => {
  expect(nextCycle(check, 0, true, () => 0.1, 500).afterMs).toBe(9500)
  expect(nextCycle(check, 0, false, middle, 400).afterMs).toBe(500)
})

describe("the first probe", () => {
  test.each([
    { frequencySeconds: 60, newcomers: 1, latest: 0 },
    { frequencySeconds: 60, newcomers: 11, latest: 50 },
    { frequencySeconds: 60, newcomers: 10_000, latest: 1000 },
    { frequencySeconds: 0.2, newcomers: 10_000, latest: 200 },
  ])("of $newcomers newcomers every $frequencySeconds s is due within $latest ms", ({ frequencySeconds, newcomers, latest }) => {
    expect(firstDueMs({ frequencySeconds }, newcomers, () => 1)).toBe(latest)
    expect(firstDueMs({ frequencySeconds }, newcomers, () => 0)).toBe(0)
  })
})
