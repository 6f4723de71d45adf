import { expect, it } from "vitest"
import { sampleRecord } from "../testing/sample-record.ts"
import { patched } from "./patch.ts"
it("names both where two operators each set a part of an override", () => {
  const record = sampleRecord("a", "x")
  const drained = patched(record, { state: "draining" }, { by: "ops", own: false, now: 1 })
  const weighed = patched(drained, { weight: 5 }, { by: "ci", own: false, now: 2 })
  expect(weighed.override).toEqual({ state: "draining", weight: 5, by: "ops, ci", at: 2 })
  expect(patched(weighed, { weight: 6 }, { by: "ci", own: false, now: 3 }).override?.by).toBe("ops, ci")
  expect(patched(drained, { state: "disabled" }, { by: "ci", own: false, now: 2 }).override?.by).toBe("ci")
})
