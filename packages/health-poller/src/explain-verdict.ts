import type { Check, HealthStatus } from "@meshwork/contract"
import type { HealthState } from "./next-health.ts"

/** What a verdict is explained by. */
export interface VerdictFacts {
  state: HealthState
  check: Pick<Check, "passAfter" | "failAfter" | "retries" | "frequencySeconds">
  penalty: number
  /** For how long it is held as failing for flapping, ms; 0 when it is not. */
  heldForMs: number
}

/** Why a verdict is as it is and what will change it: `reason` says what was probed and what came back. */
export function explainVerdict(reason: string, facts: VerdictFacts): string {
  const { state, check, heldForMs } = facts
  const failed = state.status === "failing" && check.retries > 0 ? ` (${check.retries + 1} tries failed)` : ""
  const held = heldForMs > 0 && state.status === "passing" ? "held as failing although " : ""
  return `${held}${reason}${failed}; ${whatNext(facts)}`
}

/** What will change the verdict, as a part of a sentence. */
export function whatNext({ state, check, penalty, heldForMs }: VerdictFacts): string {
  const every = `, one every ${check.frequencySeconds} s`
  if (heldForMs > 0) {
    const seconds = Math.ceil(heldForMs / 1000)
    return `it flaps (penalty ${penalty.toFixed(1)}), so it passes again after ${seconds} s without a failure`
  }
  const status: HealthStatus = state.status
  if (status === "passing") {
    const tries = check.retries === 0 ? "" : ` of ${check.retries + 1} tries each`
    return `${inARow(check.failAfter - state.failed, "failed check")}${tries} would make it failing${every}`
  }
  const good = inARow(check.passAfter - state.passed, "good check")
  if (status === "failing") return `${good} will make it passing${every}`
  return `${good} will make it passing, ${inARow(check.failAfter - state.failed, "failed one")} failing${every}`
}

function inARow(count: number, what: string): string {
  return count <= 1 ? `a ${what}` : `${count} ${what}s in a row`
}
