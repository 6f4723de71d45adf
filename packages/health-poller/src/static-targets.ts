import { standingOf, type Instance } from "@meshwork/contract"
import type { PollTarget, Verdict } from "./poller.ts"

/** The instances that declare a check, whatever their state, as targets for `Poller.sync`. */
export function targetsOf(instances: readonly Instance[]): PollTarget[] {
  return instances.flatMap((instance) => (instance.check === undefined ? [] : [targetOf(instance, instance.check)]))
}

function targetOf(instance: Instance, check: PollTarget["check"]): PollTarget {
  const { service, id, host, port, scheme, boot, health } = instance
  return { service, id, host, port, scheme, check, health, ...(boot === undefined ? {} : { boot }) }
}

/**
 * The instance as it stands after a verdict, for whoever keeps instances that no registry polls.
 * @param at Unix ms of the verdict; @param by who polled.
 */
export function withVerdict(instance: Instance, verdict: Verdict, at: number, by: string): Instance {
  const { status, reason, availability } = verdict
  const since = instance.health.status === status ? instance.health.since : at
  const health = { status, since, reason, by, availability }
  return { ...instance, health, ...standingOf({ state: instance.state, health, check: instance.check }) }
}
