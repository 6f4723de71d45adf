import type { Random } from "@meshwork/contract"
import type { PickOptions } from "../pool/pool.ts"

/** One candidate as a balancer sees it. */
export interface Weighted {
  readonly address: string
  /** Share of the traffic, above 0. */
  readonly weight: number
  readonly inFlight: number
  /** Smoothed time to response headers, ms; 0 before the first answer. */
  readonly latencyMs: number
  /** How late the event loop of the other process runs, as it says with its answers, ms; absent or 0 where it says nothing. */
  readonly lagMs?: number
  /** Share of successful probes, 0 to 1; absent where nobody probes. Changes only together with the array of candidates. */
  readonly availability?: number | undefined
}

/** Chooses among candidates that may all be used. Filtering is the pool's. */
export interface Balancer {
  /** One of `candidates`, which is not empty. The same array until something changed. */
  pick(candidates: readonly Weighted[], options: PickOptions): Weighted
  /** Those of `candidates` of which it would choose one; left out by a balancer that leaves none out. */
  readonly among?: (candidates: readonly Weighted[]) => readonly Weighted[]
}

/** Makes the balancer of one pool. */
export type BalancerFactory = (random: Random) => Balancer
