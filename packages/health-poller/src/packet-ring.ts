import type { ProbeOutcome } from "./probe.ts"

/** One probe as the history keeps it: Unix ms of its start, ms it took, how it ended. */
export interface Packet {
  startedAt: number
  durationMs: number
  outcome: ProbeOutcome
}

const outcomes: readonly ProbeOutcome[] = ["active", "inactive", "unreachable", "fault"]
const maxDurationMs = 2 ** 30 - 1
const maxGapMs = 2 ** 32 - 1

/** Bytes one packet takes. */
export const packetBytes = 8

/** The last packets of one target, eight bytes each: the gap to the start before, then duration and outcome in one word. */
export class PacketRing {
  #words = new Uint32Array(16)
  #head = 0
  #count = 0
  #active = 0
  #faults = 0
  #lastStart = 0

  get size(): number {
    return this.#count
  }

  /** Share of successful probes in steps of 0.05, own faults left out; 1 before the first one. */
  get availability(): number {
    const counted = this.#count - this.#faults
    return counted === 0 ? 1 : Math.round((this.#active / counted) * 20) / 20
  }

  /** Adds a packet, forgetting the oldest beyond `limit` (at least 1). */
  record(packet: Packet, limit: number): void {
    while (this.#count >= Math.max(1, limit)) this.#forgetOldest()
    this.#fit(limit)
    const capacity = this.#words.length / 2
    const slot = ((this.#head + this.#count) % capacity) * 2
    const gap = this.#count === 0 ? 0 : packet.startedAt - this.#lastStart
    const outcome = outcomes.indexOf(packet.outcome)
    this.#words[slot] = Math.min(Math.max(Math.round(gap), 0), maxGapMs)
    this.#words[slot + 1] = Math.min(Math.max(Math.round(packet.durationMs), 0), maxDurationMs) * 4 + outcome
    this.#lastStart = packet.startedAt
    this.#count++
    this.#tally(outcome, 1)
  }

  /** All packets, oldest first. */
  packets(): Packet[] {
    const found: Packet[] = []
    const capacity = this.#words.length / 2
    let startedAt = this.#lastStart
    for (let index = this.#count - 1; index >= 0; index--) {
      const slot = ((this.#head + index) % capacity) * 2
      const word = this.#words[slot + 1] ?? 0
      found.push({ startedAt, durationMs: Math.floor(word / 4), outcome: outcomes[word % 4] ?? "fault" })
      startedAt -= this.#words[slot] ?? 0
    }
    return found.toReversed()
  }

  #forgetOldest(): void {
    this.#tally((this.#words[this.#head * 2 + 1] ?? 0) % 4, -1)
    this.#head = (this.#head + 1) % (this.#words.length / 2)
    this.#count--
  }

  #tally(outcome: number, step: number): void {
    if (outcomes[outcome] === "active") this.#active += step
    if (outcomes[outcome] === "fault") this.#faults += step
  }

  /** Doubles when full, up to `limit`; gives memory back when `limit` has fallen to half of it. */
  #fit(limit: number): void {
    const capacity = this.#words.length / 2
    const grown = Math.min(Math.max(capacity * 2, 8), limit)
    if (this.#count < capacity && capacity <= Math.max(8, limit * 2)) return
    const next = new Uint32Array(Math.max(1, this.#count < capacity ? limit : grown) * 2)
    for (let index = 0; index < this.#count; index++) {
      const from = ((this.#head + index) % capacity) * 2
      next[index * 2] = this.#words[from] ?? 0
      next[index * 2 + 1] = this.#words[from + 1] ?? 0
    }
    this.#words = next
    this.#head = 0
  }
}
