import { keyText, type Clock, type InstanceKey, type Random, type Timer } from "@meshwork/contract"
import { firstDueMs, isOwnPause, nextCycle } from "./cycle.ts"
import { DueHeap } from "./due-heap.ts"
import { type Packet, packetBytes } from "./packet-ring.ts"
import { PollEntry } from "./poll-entry.ts"
import type { Poller, PollerOptions, PollTarget, Verdict } from "./poller.ts"
import { createProbe, type Probe, type ProbeResult } from "./probe.ts"
import { ProbeQueue } from "./probe-queue.ts"

/** A poller of any number of targets on one timer; nothing runs before the first `sync`. */
export function createPoller(options: PollerOptions): Poller {
  return new HealthPoller(options)
}

class HealthPoller implements Poller {
  readonly #clock: Clock
  readonly #random: Random
  readonly #probe: Probe
  readonly #onVerdict: (verdict: Verdict) => void
  readonly #historyBytes: number
  readonly #entries = new Map<string, PollEntry>()
  readonly #heap = new DueHeap<PollEntry>()
  readonly #queue: ProbeQueue<PollEntry>
  readonly #running = new Set<Promise<void>>()
  #timer: { at: number; handle: Timer } | undefined
  #closed = false

  constructor(options: PollerOptions) {
    this.#clock = options.clock
    this.#random = options.random
    this.#onVerdict = options.onVerdict
    this.#probe = options.probe ?? createProbe({ clock: options.clock, userAgent: options.userAgent ?? "meshwork-health" })
    this.#historyBytes = options.historyBytes ?? 256 * 1024 * 1024
    this.#queue = new ProbeQueue(options.concurrency ?? 200, (entry) => this.#track(this.#run(entry)))
  }

  sync(targets: readonly PollTarget[]): void {
    if (this.#closed) return
    const now = this.#clock.monotonic()
    const wanted = new Map(targets.map((target) => [keyText(target), target]))
    for (const [key, entry] of this.#entries) if (!wanted.has(key)) this.#drop(key, entry)
    const newcomers = wanted.size - this.#entries.size
    for (const [key, target] of wanted) {
      const entry = this.#entries.get(key)
      if (entry === undefined) {
        const created = new PollEntry(target, now)
        this.#entries.set(key, created)
        this.#heap.put(created, now + firstDueMs(target.check, newcomers, this.#random))
      } else if (entry.update(target, now)) {
        this.#queue.delete(entry)
        this.#heap.put(entry, now)
      }
    }
    this.#tick()
  }

  history(key: InstanceKey): Packet[] {
    return this.#entries.get(keyText(key))?.history.packets() ?? []
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.handle.cancel()
    this.#timer = undefined
    for (const [key, entry] of this.#entries) this.#drop(key, entry)
    await Promise.all(this.#running)
  }

  #drop(key: string, entry: PollEntry): void {
    this.#entries.delete(key)
    this.#heap.delete(entry)
    this.#queue.delete(entry)
    entry.stop()
  }

  /** Queues everything that is due and sets the one timer to the next. */
  #tick(): void {
    const now = this.#clock.monotonic()
    for (let entry = this.#heap.first; entry !== undefined && entry.at <= now; entry = this.#heap.first) {
      this.#heap.delete(entry)
      this.#queue.push(entry)
    }
    this.#arm(now)
  }

  #arm(now: number): void {
    const at = this.#heap.first?.at
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
    this.#running.add(work)
    void work.finally(() => this.#running.delete(work))
    return work
  }

  async #run(entry: PollEntry): Promise<void> {
    const run = new AbortController()
    entry.running = run
    const startedAt = this.#clock.now()
    const begin = this.#clock.monotonic()
    let result: ProbeResult
    try {
      result = await this.#probe(entry.target, run.signal)
    } catch (error) {
      result = { outcome: "fault", reason: `the probe failed: ${error instanceof Error ? error.message : String(error)}` }
    }
    if (entry.running === run) this.#finish(entry, result, startedAt, this.#clock.monotonic() - begin)
  }

  #finish(entry: PollEntry, result: ProbeResult, startedAt: number, durationMs: number): void {
    entry.running = undefined
    const { check } = entry.target
    const ok = result.outcome === "active"
    if (!ok && !entry.repeated && isOwnPause(check, durationMs)) {
      entry.repeated = true
      return this.#schedule(entry, 0)
    }
    entry.repeated = false
    entry.hangs = result.timedOut === true
    entry.history.record({ startedAt, durationMs, outcome: result.outcome }, this.#historyLimit(check.packetLimit))
    const step = nextCycle(check, entry.failed, ok, this.#random)
    entry.failed = step.next === "retry" ? step.failed : 0
    this.#schedule(entry, step.afterMs)
    if (step.next === "retry" || result.outcome === "fault") return
    const verdict = entry.conclude(result, this.#clock.monotonic())
    if (verdict !== undefined) this.#onVerdict(verdict)
  }

  #historyLimit(packetLimit: number): number {
    return Math.max(1, Math.min(packetLimit, Math.floor(this.#historyBytes / packetBytes / this.#entries.size)))
  }
}
