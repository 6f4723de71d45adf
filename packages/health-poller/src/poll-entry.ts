import type { Due } from "./due-heap.ts"
import { type HealthState, nextHealth } from "./next-health.ts"
import { PacketRing } from "./packet-ring.ts"
import type { PollTarget, Verdict } from "./poller.ts"
import type { ProbeResult } from "./probe.ts"

/** How often a mere change of availability is reported at most, ms. */
export const availabilityReportMs = 10_000

/** What the poller keeps of one target. */
export class PollEntry implements Due {
  at = 0
  slot = -1
  /** Whether its last probe ran into the time limit. */
  hangs = false
  /** Failed probes of the present cycle. */
  failed = 0
  /** Whether the present probe is the second try after a pause of this process. */
  repeated = false
  /** The probe under way; an answer to any other one is too late to count. */
  running: AbortController | undefined
  readonly history: PacketRing = new PacketRing()
  target: PollTarget
  #health: HealthState
  #reported: { status: string; availability: number | undefined; at: number }

  constructor(target: PollTarget, now: number) {
    this.target = target
    this.#health = { status: target.health.status, passed: 0, failed: 0 }
    this.#reported = { status: target.health.status, availability: undefined, at: now }
  }

  /** Takes the target's latest declaration. True when what was known no longer counts and a probe is due at once. */
  update(target: PollTarget, now: number): boolean {
    const before = this.target
    this.target = target
    const forgotten = target.health.status === "unknown" && before.health.status !== "unknown"
    const another = target.boot !== before.boot || target.host !== before.host || target.port !== before.port || target.scheme !== before.scheme
    if (forgotten || another) {
      this.#health = { status: target.health.status, passed: 0, failed: 0 }
      this.#reported = { status: target.health.status, availability: undefined, at: now }
    }
    if (!forgotten && !another && sameCheck(before.check, target.check)) return false
    this.#interrupt()
    return true
  }

  /** Counts the end of a cycle; the verdict when it is news. */
  conclude(result: ProbeResult, now: number): Verdict | undefined {
    const { target } = this
    this.#health = nextHealth(this.#health, result.outcome === "active", target.check)
    const { status } = this.#health
    const { availability } = this.history
    if (status === "unknown") return undefined
    const changed = status !== this.#reported.status
    if (!changed && (availability === this.#reported.availability || now - this.#reported.at < availabilityReportMs)) return undefined
    this.#reported = { status, availability, at: now }
    const { service, id, boot } = target
    return { service, id, status, reason: result.reason, availability, ...(boot === undefined ? {} : { boot }) }
  }

  /** Ends the probe under way without counting it. */
  stop(): void {
    this.#interrupt()
  }

  #interrupt(): void {
    const running = this.running
    this.running = undefined
    this.failed = 0
    this.repeated = false
    this.hangs = false
    running?.abort()
  }
}

function sameCheck(a: PollTarget["check"], b: PollTarget["check"]): boolean {
  return (
    a === b ||
    (a.method === b.method &&
      a.path === b.path &&
      a.frequencySeconds === b.frequencySeconds &&
      a.timeoutSeconds === b.timeoutSeconds &&
      a.retries === b.retries &&
      a.retryDelaySeconds === b.retryDelaySeconds)
  )
}
