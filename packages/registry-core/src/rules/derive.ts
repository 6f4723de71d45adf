import { effectiveState, type Instance, type InstanceRecord, standingOf } from "@meshwork/contract"

/** What lists and watches carry of a record: override applied, standing derived, nothing that a heartbeat or a take-over moves. */
export function derived(record: InstanceRecord): Instance {
  const { override, keeper: _keeper, renewedAt: _renewed, format: _format, suspect, state: _own, ...visible } = record
  const state = effectiveState(record)
  const byOperator = override?.state === state ? override.by : undefined
  const { standing, why } = standingOf({ state, health: record.health, check: record.check, suspect: suspect?.reason, stateBy: byOperator })
  const weight = override?.weight
  return { ...visible, ...(weight === undefined ? {} : { weight }), state, standing, why }
}
