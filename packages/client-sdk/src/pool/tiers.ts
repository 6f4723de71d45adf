import type { Instance, InstancePriority } from "@meshwork/contract"
import type { PoolEndpoint } from "./pool-endpoint.ts"

const rank: Record<InstancePriority, number> = { high: 0, med: 1, low: 2 }

export interface TierOptions {
  /** Where the caller is. */
  zone?: string | undefined
  /** What to do when every checked instance fails; default `spread` for 3 or more, else `fail`. */
  whenAllFail?: "spread" | "fail" | undefined
}

/** Endpoints in the order in which they are to be used: each list only when nothing in those before it can be picked. */
export type Tiers = readonly (readonly PoolEndpoint[])[]

/**
 * Sorts out candidates once per snapshot: serving ones, then suspects, then draining ones; within each the best instance priority first, and
 * within that the caller's zone, where at least 2 serve and at least half of the zone's weight does.
 */
export function arrange(endpoints: readonly PoolEndpoint[], options: TierOptions = {}): Tiers {
  const tiers: PoolEndpoint[][] = []
  for (const standing of ["serving", "suspect", "draining"] as const) {
    const alike = endpoints.filter((endpoint) => endpoint.instance.standing === standing)
    for (const priority of ["high", "med", "low"] as const) {
      const ranked = alike.filter((endpoint) => rank[endpoint.instance.priority] === rank[priority])
      if (ranked.length === 0) continue
      const near = standing === "serving" ? inZone(ranked, endpoints, options.zone) : undefined
      if (near) tiers.push(near)
      tiers.push(ranked)
    }
  }
  if (tiers.length === 0) {
    const failing = endpoints.filter((endpoint) => blackedOut(endpoint.instance))
    const spread = options.whenAllFail === undefined ? failing.length >= 3 : options.whenAllFail === "spread"
    if (spread && failing.length > 0) tiers.push(failing)
  }
  return tiers
}

/** Whether only a prober keeps this instance out: it is wanted, and its check fails. */
function blackedOut(instance: Instance): boolean {
  return instance.state === "up" && instance.health.status === "failing"
}

function inZone(ranked: readonly PoolEndpoint[], all: readonly PoolEndpoint[], zone: string | undefined): PoolEndpoint[] | undefined {
  if (zone === undefined) return undefined
  const near = ranked.filter((endpoint) => endpoint.instance.zone === zone)
  const weight = (list: readonly PoolEndpoint[]) => list.reduce((sum, endpoint) => sum + endpoint.weight, 0)
  const whole = weight(all.filter((endpoint) => endpoint.instance.zone === zone))
  return near.length >= 2 && near.length < ranked.length && weight(near) * 2 >= whole ? near : undefined
}
