import type { Due } from "./due-heap.ts"
import { explainVerdict, type VerdictFacts } from "./explain-verdict.ts"
import { type Flapping, halfLifeMs, heldForMs, nextFlapping, penaltyAt, rememberedFlapping, steady } from "./flap-damping.ts"
import { type HealthState, nextHealth } from "./next-health.ts"
import { PacketRing } from "./packet-ring.ts"
import type { PacketStore } from "./packet-store.ts"
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
  /** How much later than due the last probe began. */
  lateMs = 0
  /** Failed probes of the present cycle. */
  failed = 0
  /** Tries that were made again because this process stood still during them. */
  repeats = 0
  /** Monotonic ms since when nothing comes back, while it is doubted whose fault that is. */
  doubtedSince: number | undefined
  /** The probe under way; an answer to any other one is too late to count. */
  running: AbortController | undefined
  readonly history: PacketRing
  /** Unix ms since when it is polled. */
  readonly since: number
  /** Unix ms of the last probe that was no success. */
  lastFailureAt: number | undefined
  target: PollTarget
  #health: HealthState
  /** The last conclusion of its probes alone. */
  #concluded: "passing" | "failing" | undefined
  #flapping: Flapping
  #reported: { status: string; availability: number | undefined; at: number }

  /** @param now monotonic, @param wall Unix ms, @param store where its history is kept */
  constructor(target: PollTarget, now: number, wall: number, store: PacketStore) {
    this.target = target
    this.history = new PacketRing(store)
    this.since = wall
    const { status, penalty } = target.health
    this.#health = { status, passed: 0, failed: 0 }
    this.#concluded = status === "unknown" ? undefined : status
    // Whoever polled it before, a server that died or this one before it started anew, knew how much it flaps.
    this.#flapping = rememberedFlapping(penalty, status === "failing", now)
    this.#reported = { status, availability: undefined, at: now }
  }

  /** Whether its probes say that it is well. */
  get passing(): boolean {
    return this.#health.status === "passing"
  }

  /** Takes the target's latest declaration. True when a probe is due at once. */
  update(target: PollTarget, now: number): boolean {
    const before = this.target
    this.target = target
    const { status } = target.health
    const another = !sameProcess(before, target)
    const forgotten = status === "unknown" && before.health.status !== "unknown"
    if (another) {
      this.#flapping = steady
      this.#concluded = undefined
    }
    // What was counted of the same process stays, so that being registered anew is no way out.
    if (another) this.#health = { status, passed: 0, failed: 0 }
    else if (forgotten) this.#health = { ...this.#health, status }
    if (another || forgotten) this.#reported = { status, availability: undefined, at: now }
    // Somebody else's verdict, or one that was lost: it is said again if it still holds.
    else if (status !== "unknown" && status !== before.health.status) this.#reported = { ...this.#reported, status }
    if (!forgotten && !another && sameCheck(before.check, target.check)) return false
    this.#interrupt()
    return true
  }

  /** Takes it up again after it was gone for a while: what was counted stays, and what was reported has to be said anew. */
  resume(target: PollTarget, now: number): void {
    this.target = target
    const { status } = target.health
    this.#health = { ...this.#health, status }
    this.#reported = { status, availability: undefined, at: now }
  }

  /** Counts the end of a cycle; the verdict when it is news. */
  conclude(result: ProbeResult, now: number): Verdict | undefined {
    const { target } = this
    this.#health = nextHealth(this.#health, result.outcome === "active", target.check)
    const probed = this.#health.status
    if (probed === "unknown") return undefined
    const fell = probed === "failing" && this.#concluded === "passing"
    this.#concluded = probed
    this.#flapping = nextFlapping(this.#flapping, fell, now, halfLifeMs(target.check))
    const status = this.#flapping.held ? "failing" : probed
    const { availability } = this.history
    const changed = status !== this.#reported.status
    if (!changed && (availability === this.#reported.availability || now - this.#reported.at < availabilityReportMs)) return undefined
    this.#reported = { status, availability, at: now }
    const facts = this.facts(now)
    const { service, id, boot } = target
    const penalty = Math.round(facts.penalty * 10) / 10
    const reason = explainVerdict(result.reason, facts)
    return { service, id, status, reason, availability, ...(penalty === 0 ? {} : { penalty }), ...(boot === undefined ? {} : { boot }) }
  }

  /** Counters and penalty as they are now. */
  facts(now: number): VerdictFacts {
    const { check } = this.target
    const halfLife = halfLifeMs(check)
    const heldFor = heldForMs(this.#flapping, now, halfLife)
    return { state: this.#health, check, penalty: penaltyAt(this.#flapping, now, halfLife), heldForMs: heldFor }
  }

  /** Ends the probe under way without counting it. */
  stop(): void {
    this.#interrupt()
  }

  #interrupt(): void {
    const running = this.running
    this.running = undefined
    this.failed = 0
    this.repeats = 0
    this.doubtedSince = undefined
    this.hangs = false
    running?.abort()
  }
}

/** Whether both stand for one run of one process, as far as can be told. */
export function sameProcess(a: PollTarget, b: PollTarget): boolean {
  return a.boot === b.boot && a.host === b.host && a.port === b.port && a.scheme === b.scheme
}

function sameCheck(a: PollTarget["check"], b: PollTarget["check"]): boolean {
  return (
    a === b ||
    (a.method === b.method &&
      a.path === b.path &&
      a.frequencySeconds === b.frequencySeconds &&
      a.timeoutSeconds === b.timeoutSeconds &&
      a.retries === b.retries &&
      a.retryDelaySeconds === b.retryDelaySeconds &&
      a.insecure === b.insecure &&
      a.icmp === b.icmp)
  )
}
