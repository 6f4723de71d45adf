import { keyText, type Clock, type InstanceKey, type Random, type Timer } from "@meshwork/contract"
import { firstDueMs, nextCycle } from "./cycle.ts"
import { DueHeap } from "./due-heap.ts"
import { NetworkWatch } from "./network-watch.ts"
import { OwnPauses } from "./own-pauses.ts"
import type { Packet } from "./packet-ring.ts"
import { PacketStore } from "./packet-store.ts"
import { PartedEntries } from "./parted-entries.ts"
import { PollEntry, sameProcess } from "./poll-entry.ts"
import { pollState } from "./poll-state.ts"
import type { Poller, PollerOptions, PollerStatistics, PollState, PollTarget } from "./poller.ts"
import { createProbe, type Probe, type ProbeOutcome, type ProbeResult } from "./probe.ts"
import { ProbeQueues } from "./probe-queues.ts"
import { Troubles } from "./troubles.ts"

/** How often in a row a try is made again because this process stood still. */
const mostRepeats = 3
/** Between two tries while it is doubted whose fault a silence is, ms. */
const doubtPauseMs = 500
/** By how much of itself, and by how many ms more, a time limit may be late before it tells of this process rather than of the target. */
const lateness = { share: 0.25, ms: 20 }
/** Over how long the probes are spread that were held back, ms. */
const catchUpMs = 1000

/** A poller of any number of targets on one timer; nothing runs before the first `sync`. */
export function createPoller(options: PollerOptions): Poller {
  return new HealthPoller(options)
}

class HealthPoller implements Poller {
  readonly #clock: Clock
  readonly #random: Random
  readonly #probe: Probe
  readonly #onVerdict: PollerOptions["onVerdict"]
  readonly #entries = new Map<string, PollEntry>()
  readonly #parted: PartedEntries
  readonly #store: PacketStore
  readonly #heap = new DueHeap<PollEntry>()
  readonly #queue: ProbeQueues
  readonly #pauses: OwnPauses
  readonly #network = new NetworkWatch<PollEntry>()
  /** Those whose silence was not counted, since this process seems to be cut off. */
  readonly #heldBack = new Set<PollEntry>()
  readonly #troubles: Troubles
  readonly #running = new Set<Promise<void>>()
  readonly #probes: Record<ProbeOutcome, number> = { active: 0, inactive: 0, unreachable: 0, fault: 0 }
  #timer: { at: number; handle: Timer } | undefined
  #paused = false
  #closed = false

  constructor(options: PollerOptions) {
    const { clock, userAgent = "meshwork-health", concurrency = 200, lingering = concurrency * 10, historyBytes = 256 * 1024 * 1024 } = options
    this.#clock = clock
    this.#random = options.random
    this.#onVerdict = options.onVerdict
    this.#probe = options.probe ?? createProbe({ clock, userAgent, tls: options.tls })
    this.#store = new PacketStore(historyBytes)
    this.#parted = new PartedEntries((entry) => entry.history.clear())
    this.#troubles = new Troubles(options.onTrouble)
    const start = (entry: PollEntry) => this.#track(this.#run(entry))
    this.#queue = new ProbeQueues({ slots: concurrency, lingering, now: () => clock.monotonic(), start })
    this.#pauses = new OwnPauses(clock, (now) => this.#queue.age(now))
  }

  sync(targets: readonly PollTarget[]): void {
    if (this.#closed) return
    const now = this.#clock.monotonic()
    const wanted = new Map(targets.map((target) => [keyText(target), target]))
    for (const [key, entry] of this.#entries) if (!wanted.has(key)) this.#part(key, entry, now)
    this.#parted.trim(now)
    const newcomers = wanted.size - this.#entries.size
    for (const [key, target] of wanted) {
      const entry = this.#entries.get(key)
      if (entry === undefined) {
        const created = this.#returning(key, target, now) ?? new PollEntry(target, now, this.#clock.now(), this.#store)
        this.#entries.set(key, created)
        this.#heap.put(created, now + firstDueMs(target.check, newcomers, this.#random))
        continue
      }
      const { host } = entry.target
      if (host !== target.host) this.#network.forget(host, entry)
      if (entry.update(target, now)) {
        this.#queue.delete(entry)
        this.#heap.put(entry, now)
      }
    }
    this.#tick()
  }

  history(key: InstanceKey, limit?: number): Iterable<Packet> {
    return this.#entries.get(keyText(key))?.history.packets(limit) ?? []
  }

  state(key: InstanceKey): PollState | undefined {
    const entry = this.#entries.get(keyText(key))
    return entry && pollState(entry, this.#clock.monotonic(), this.#clock.now())
  }

  statistics(): PollerStatistics {
    const now = this.#clock.monotonic()
    const oldest = Math.min(this.#queue.oldestAt, this.#heap.first?.at ?? now)
    const since = this.#network.cutOffSince
    return {
      targets: this.#entries.size,
      underWay: this.#queue.underWay,
      waiting: this.#queue.waiting,
      lateMs: this.#paused ? 0 : Math.max(0, now - oldest),
      cutOffSince: since === undefined ? undefined : this.#clock.now() - (now - since),
      historyBytes: this.#store.bytes,
      probes: { ...this.#probes },
    }
  }

  pause(paused: boolean): void {
    if (this.#closed || this.#paused === paused) return
    this.#paused = paused
    const now = this.#clock.monotonic()
    const waiting = [...this.#entries.values()].filter((entry) => entry.running === undefined && (entry.slot < 0 || entry.at <= now))
    const spread = paused ? 0 : Math.min(catchUpMs, waiting.length * 5)
    for (const entry of waiting) {
      this.#queue.delete(entry)
      this.#heap.put(entry, now + spread * this.#random())
    }
    this.#arm(now)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.handle.cancel()
    this.#timer = undefined
    for (const [key, entry] of this.#entries) this.#part(key, entry, this.#clock.monotonic())
    await Promise.all(this.#running)
    this.#pauses.end()
  }

  #part(key: string, entry: PollEntry, now: number): void {
    this.#entries.delete(key)
    this.#heap.delete(entry)
    this.#queue.delete(entry)
    this.#heldBack.delete(entry)
    this.#troubles.forget(entry)
    this.#network.forget(entry.target.host, entry)
    entry.stop()
    this.#parted.add(key, entry, now)
  }

  /** What was known of a target that left a while ago, if it is still the same process. */
  #returning(key: string, target: PollTarget, now: number): PollEntry | undefined {
    const entry = this.#parted.take(key, now)
    if (entry === undefined) return undefined
    if (sameProcess(entry.target, target)) {
      entry.resume(target, now)
      return entry
    }
    entry.history.clear()
    return undefined
  }

  /** Queues everything that is due and sets the one timer to the next. */
  #tick(): void {
    const now = this.#clock.monotonic()
    if (this.#paused) return
    for (let entry = this.#heap.first; entry !== undefined && entry.at <= now; entry = this.#heap.first) {
      this.#heap.delete(entry)
      this.#queue.push(entry)
    }
    this.#arm(now)
  }

  #arm(now: number): void {
    const at = this.#paused ? undefined : this.#heap.first?.at
    if (this.#closed || at === this.#timer?.at) return
    this.#timer?.handle.cancel()
    if (at === undefined) {
      this.#timer = undefined
      return
    }
    const handle = this.#clock.timer(at - now, () => {
      this.#timer = undefined
      this.#tick()
    })
    this.#timer = { at, handle }
  }

  #schedule(entry: PollEntry, afterMs: number): void {
    const now = this.#clock.monotonic()
    this.#heap.put(entry, now + afterMs)
    this.#arm(now)
  }

  #track(work: Promise<void>): Promise<void> {
    this.#pauses.begin()
    this.#running.add(work)
    void work.finally(() => {
      this.#running.delete(work)
      if (this.#running.size === 0) this.#pauses.end()
    })
    return work
  }

  async #run(entry: PollEntry): Promise<void> {
    const run = new AbortController()
    entry.running = run
    const startedAt = this.#clock.now()
    const begin = this.#clock.monotonic()
    entry.lateMs = Math.max(0, begin - entry.at)
    let result: ProbeResult
    try {
      result = await this.#probe(entry.target, run.signal)
    } catch (error) {
      const said = `the probe failed: ${error instanceof Error ? error.message : String(error)}`
      result = { outcome: "fault", reason: said, said }
    }
    if (entry.running === run) this.#finish(entry, result, startedAt, begin)
  }

  #finish(entry: PollEntry, result: ProbeResult, startedAt: number, begin: number): void {
    const now = this.#clock.monotonic()
    entry.running = undefined
    const ok = result.outcome === "active"
    if (!ok && entry.repeats < mostRepeats && (this.#pauses.since(begin) || wasLate(entry, result, now - begin))) {
      entry.repeats++
      return this.#schedule(entry, 0)
    }
    entry.repeats = 0
    if (result.network === "heard") this.#heard(entry, now)
    const silent = result.network === "silent" || result.network === "no-way"
    const judged = silent && entry.passing ? this.#judgeSilence(entry, result, begin, now) : result
    if (judged === "doubted") return this.#schedule(entry, doubtPauseMs)
    entry.doubtedSince = undefined
    this.#conclude(entry, judged, startedAt, now - begin)
  }

  #conclude(entry: PollEntry, result: ProbeResult, startedAt: number, durationMs: number): void {
    const { check } = entry.target
    const { outcome, said } = result
    const ok = outcome === "active"
    entry.hangs = result.timedOut === true
    if (!ok) entry.lastFailureAt = startedAt + Math.round(durationMs)
    this.#probes[outcome]++
    entry.history.record({ startedAt, durationMs, outcome, ...(said === undefined ? {} : { said }) }, check.packetLimit)
    this.#troubles.fault(entry, outcome === "fault" ? result.reason : undefined)
    const step = nextCycle(check, entry.failed, ok, this.#random, entry.lateMs)
    entry.failed = step.next === "retry" ? step.failed : 0
    this.#schedule(entry, step.afterMs)
    if (step.next === "retry" || outcome === "fault") return
    const verdict = entry.conclude(result, this.#clock.monotonic())
    if (verdict !== undefined) this.#onVerdict(verdict)
  }

  /** Something came over the network: whoever was held back is asked again. */
  #heard(entry: PollEntry, now: number): void {
    this.#network.heard(entry.target.host, entry, now)
    this.#troubles.cutOff(false)
    if (this.#heldBack.size === 0) return
    const spread = Math.min(catchUpMs, this.#heldBack.size * 5)
    for (const waiting of this.#heldBack) if (waiting.slot >= 0) this.#heap.put(waiting, Math.min(waiting.at, now + spread * this.#random()))
    this.#heldBack.clear()
    this.#arm(now)
  }

  /** What to count of a silence: as it is, nothing yet, or a fault of this process. */
  #judgeSilence(entry: PollEntry, result: ProbeResult, begin: number, now: number): ProbeResult | "doubted" {
    entry.doubtedSince ??= begin
    const silence = this.#network.silent(entry.target.host, entry.doubtedSince, now, result.network === "no-way")
    if (silence.judgement === "believe") return result
    for (const witness of silence.ask) if (witness !== entry && witness.slot >= 0) this.#heap.put(witness, now)
    this.#arm(now)
    if (silence.judgement === "doubt") return "doubted"
    this.#heldBack.add(entry)
    this.#troubles.cutOff(true)
    const said = "this server seems cut off from the network: no other machine answers it any more"
    return { outcome: "fault", reason: said, said }
  }
}

/** Whether this process was too busy to end a probe in time: then it may have been too busy to see the answer. */
function wasLate({ target }: PollEntry, { timedOut }: ProbeResult, tookMs: number): boolean {
  return timedOut === true && tookMs > target.check.timeoutSeconds * 1000 * (1 + lateness.share) + lateness.ms
}
