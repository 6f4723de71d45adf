import type { Instance } from "@meshwork/contract"
import type { BreakerState } from "../breaker/circuit-breaker.ts"

/** One `host:port` that serves a service; the same object for as long as the pool knows it. */
export interface Endpoint {
  readonly service: string
  readonly id: string
  /** `host:port`, unique within a pool. */
  readonly address: string
  /** URL origin, such as `http://10.0.0.7:9000`. */
  readonly origin: string
  /** The latest record of it. */
  readonly instance: Instance
  /** Requests picked and not yet done. */
  readonly inFlight: number
  /** Smoothed time to response headers, ms; 0 before the first answer. */
  readonly latencyMs: number
  /** Aborts when the pool no longer knows this endpoint; whoever holds sockets to it closes them. */
  readonly gone: AbortSignal
}

/** How a picked request ended, as far as balancers and breakers care. */
export interface Outcome {
  /** `success`: an accepted answer; `failure`: rejected or none; `aborted`: the caller went away, counts neither way. */
  result: "success" | "failure" | "aborted"
  /** True when no connection could be made, so that nothing was sent. */
  refused?: boolean
  /** Time to response headers, ms, where there were any. */
  latencyMs?: number
  /** Value of the `X-Meshwork-Load` header of the answer. */
  load?: string
}

/** A chosen endpoint and the way to say how it went; `done` counts once. */
export interface Picked {
  readonly endpoint: Endpoint
  done(outcome: Outcome): void
}

export interface PickOptions {
  /** Addresses already tried by this call; never picked. */
  exclude?: ReadonlySet<string>
  /** Key for balancers that hash. */
  hashKey?: string
}

/** One candidate as `explain` shows it. */
export interface Candidate {
  endpoint: Endpoint
  weight: number
  standing: Instance["standing"]
  why: string
  /** Whether pick may choose it now. */
  eligible: boolean
  /** Absent where the pool has no breakers. */
  breaker?: BreakerState
}

/** The endpoints of one service, kept up to date by a source, and the choice among them. */
export interface Pool {
  readonly service: string
  /** The next endpoint, or undefined when none may be used. Does no work beyond the candidates. */
  pick(options?: PickOptions): Picked | undefined
  /** Resolves at the first snapshot, or when `signal` aborts; says whether there is one. */
  ready(signal?: AbortSignal): Promise<boolean>
  /** Unix ms of the snapshot in use, and whether its source has lost contact; null before the first one. */
  readonly state: { at: number; stale: boolean } | null
  candidates(): Candidate[]
  /** Stops watching. Endpoints are told by their `gone` signal. Idempotent. */
  close(): Promise<void>
}
