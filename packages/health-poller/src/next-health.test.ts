import type { HealthStatus } from "@meshwork/contract"
import { expect, test } from "vitest"
import { type HealthState, nextHealth } from "./next-health.ts"

test.each<{ from: HealthStatus; passAfter: number; failAfter: number; cycles: string; statuses: string }>([
  { from: "unknown", passAfter: 1, failAfter: 1, cycles: "+", statuses: "p" },
  { from: "unknown", passAfter: 1, failAfter: 1, cycles: "-", statuses: "f" },
  { from: "unknown", passAfter: 2, failAfter: 1, cycles: "++", statuses: "up" },
  { from: "unknown", passAfter: 2, failAfter: 3, cycles: "+--+++", statuses: "uuuupp" },
  { from: "unknown", passAfter: 1, failAfter: 3, cycles: "---", statuses: "uuf" },
  { from: "passing", passAfter: 1, failAfter: 3, cycles: "--+---", statuses: "pppppf" },
  { from: "failing", passAfter: 3, failAfter: 1, cycles: "++-+++", statuses: "fffffp" },
  { from: "passing", passAfter: 2, failAfter: 1, cycles: "+-+", statuses: "pff" },
  { from: "failing", passAfter: 1, failAfter: 5, cycles: "-", statuses: "f" },
])("$from, passAfter $passAfter, failAfter $failAfter: cycles $cycles give $statuses", ({ from, passAfter, failAfter, cycles, statuses }) => {
  let state: HealthState = { status: from, passed: 0, failed: 0 }
  let seen = ""
  for (const cycle of cycles) {
    state = nextHealth(state, cycle === "+", { passAfter, failAfter })
    seen += state.status[0]
  }
  expect(seen).toBe(statuses)
})
