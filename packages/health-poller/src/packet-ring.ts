import type { ProbeOutcome } from "./probe.ts"
import { TextTable } from "./text-table.ts"

/** One probe as the history keeps it: Unix ms of its start, ms it took, how it ended, and what was said where not all was well. */
export interface Packet {
  startedAt: number
  durationMs: number
  outcome: ProbeOutcome
  said?: string
}

const outcomes: readonly ProbeOutcome[] = ["active", "inactive", "unreachable", "fault"]
/** The second word of a packet: outcome, number of its text, duration. */
const textUnit = 4
const durationUnit = 1024
const maxDurationMs = 2 ** 22 - 1
const maxGapMs = 2 ** 32 - 1
const packetBytes = 8
const leastCapacity = 8

/** The last packets of one target, eight bytes each and every different text once: the gap to the start before, then the rest in one word. */
export class PacketRing {
  #words = new Uint32Array(leastCapacity * 2)
  #head = 0
  #count = 0
  #active = 0
  #faults = 0
  #lastStart = 0
  readonly #texts = new TextTable()

  get size(): number {
    return this.#count
  }

  /** Memory it holds, about. */
  get bytes(): number {
    return this.#words.byteLength + this.#texts.bytes
  }

  /** Share of successful probes in steps of 0.05, own faults left out; 1 before the first one. */
  get availability(): number {
    const counted = this.#count - this.#faults
    return counted === 0 ? 1 : Math.round((this.#active / counted) * 20) / 20
  }

  /** The latest packet. */
  get last(): Packet | undefined {
    return this.packets(1)[0]
  }

  /** Adds a packet, forgetting the oldest beyond `limit` (at least 1). */
  record({ startedAt, durationMs, outcome, said }: Packet, limit: number): void {
    const most = Math.max(1, limit)
    while (this.#count >= most) this.#forgetOldest()
    if (this.#capacity > Math.max(leastCapacity, most * 2)) this.#resize(most)
    else if (this.#count === this.#capacity) this.#resize(Math.min(most, Math.ceil(this.#capacity * 1.5)))
    const slot = this.#slot(this.#count)
    const gap = this.#count === 0 ? 0 : startedAt - this.#lastStart
    const number = outcomes.indexOf(outcome)
    this.#words[slot] = within(gap, maxGapMs)
    this.#words[slot + 1] = number + this.#texts.add(said) * textUnit + within(durationMs, maxDurationMs) * durationUnit
    this.#lastStart = startedAt
    this.#count++
    this.#tally(number, 1)
  }

  /** Forgets the oldest packets until it holds no more than `bytes`, or only the latest. */
  shrinkTo(bytes: number): void {
    const room = Math.max(1, Math.floor((bytes - this.#texts.bytes) / packetBytes))
    while (this.#count > room) this.#forgetOldest()
    if (this.#capacity > room) this.#resize(room)
  }

  /** The latest packets, oldest first. */
  packets(limit: number = this.#count): Packet[] {
    const found: Packet[] = []
    let startedAt = this.#lastStart
    for (let index = this.#count - 1; index >= 0 && found.length < limit; index--) {
      const slot = this.#slot(index)
      const word = this.#words[slot + 1] ?? 0
      const said = this.#texts.text(Math.floor((word % durationUnit) / textUnit))
      const outcome = outcomes[word % textUnit] ?? "fault"
      found.push({ startedAt, durationMs: Math.floor(word / durationUnit), outcome, ...(said === undefined ? {} : { said }) })
      startedAt -= this.#words[slot] ?? 0
    }
    return found.toReversed()
  }

  get #capacity(): number {
    return this.#words.length / 2
  }

  #slot(index: number): number {
    return ((this.#head + index) % this.#capacity) * 2
  }

  #forgetOldest(): void {
    const word = this.#words[this.#head * 2 + 1] ?? 0
    this.#tally(word % textUnit, -1)
    this.#texts.drop(Math.floor((word % durationUnit) / textUnit))
    this.#head = (this.#head + 1) % this.#capacity
    this.#count--
  }

  #tally(outcome: number, step: number): void {
    if (outcomes[outcome] === "active") this.#active += step
    if (outcomes[outcome] === "fault") this.#faults += step
  }

  #resize(capacity: number): void {
    const next = new Uint32Array(Math.max(this.#count, capacity) * 2)
    for (let index = 0; index < this.#count; index++) {
      const from = this.#slot(index)
      next[index * 2] = this.#words[from] ?? 0
      next[index * 2 + 1] = this.#words[from + 1] ?? 0
    }
    this.#words = next
    this.#head = 0
  }
}

function within(value: number, most: number): number {
  return Math.min(Math.max(Math.round(value), 0), most)
}
