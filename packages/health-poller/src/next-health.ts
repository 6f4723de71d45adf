import type { Check, HealthStatus } from "@meshwork/contract"

/** What is concluded of a target, and how many cycles in a row ended the same way since. */
export interface HealthState {
  status: HealthStatus
  passed: number
  failed: number
}

/** The health after one more cycle: `passAfter` good ones in a row make it passing, `failAfter` bad ones failing. */
export function nextHealth(state: HealthState, ok: boolean, check: Pick<Check, "passAfter" | "failAfter">): HealthState {
  const passed = ok ? state.passed + 1 : 0
  const failed = ok ? 0 : state.failed + 1
  if (passed >= check.passAfter) return { status: "passing", passed, failed }
  if (failed >= check.failAfter) return { status: "failing", passed, failed }
  return { status: state.status, passed, failed }
}
