import type { Check, Health, InstanceRecord, InstanceState, Standing } from "./service-model.ts"

const severity: Record<InstanceState, number> = { up: 0, draining: 1, disabled: 2 }

/** The state that counts: the operator's override, unless the instance itself asks for less traffic. */
export function effectiveState(record: Pick<InstanceRecord, "state" | "override">): InstanceState {
  const own = record.state ?? "up"
  const wanted = record.override?.state ?? "up"
  return severity[own] > severity[wanted] ? own : wanted
}

/** What decides about the standing of one instance. */
export interface StandingInput {
  state: InstanceState
  health: Pick<Health, "status" | "reason">
  check?: Pick<Check, "method"> | undefined
  /** Why the instance is suspect; absent when it is not. */
  suspect?: string | undefined
  /** Who asked for a state other than `up`. */
  stateBy?: string | undefined
}

/** Derives the standing of a registered instance with a live lease, and a sentence that says why. */
export function standingOf(input: StandingInput): { standing: Standing; why: string } {
  const by = input.stateBy ? ` by ${input.stateBy}` : ""
  if (input.state === "disabled") return { standing: "out", why: `disabled${by}` }
  if (input.health.status === "failing") return { standing: "out", why: `failing: ${input.health.reason}` }
  if (input.state === "draining") return { standing: "draining", why: `draining, asked for${by || " by the instance"}` }
  if (input.suspect !== undefined) return { standing: "suspect", why: input.suspect }
  if (input.health.status === "passing") return { standing: "serving", why: `passing: ${input.health.reason}` }
  if (input.check) return { standing: "out", why: "not probed yet: waiting for the first successful check" }
  return { standing: "serving", why: "registered, no check declared" }
}
