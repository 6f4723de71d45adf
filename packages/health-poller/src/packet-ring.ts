import { type BlockOwner, type PacketStore, packetsPerBlock } from "./packet-store.ts"
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

/** The last packets of one target, eight bytes each and every different text once: the gap to the start before, then the rest in one word. */
export class PacketRing implements BlockOwner {
  readonly #store: PacketStore
  /** Oldest first; all but the last are full. */
  readonly #blocks: number[] = []
  /** How many packets of the oldest block are forgotten. */
  #skipped = 0
  #count = 0
  #active = 0
  #faults = 0
  /** How many packets there ever were. */
  #recorded = 0
  #lastStart = 0
  /** From the start of the oldest packet to that of the latest, ms. */
  #span = 0
  #texts: TextTable | undefined

  constructor(store: PacketStore) {
    this.#store = store
  }

  get size(): number {
    return this.#count
  }

  /** Share of successful probes in steps of 0.05, own faults left out; 1 before the first one. */
  get availability(): number {
    const counted = this.#count - this.#faults
    return counted === 0 ? 1 : Math.round((this.#active / counted) * 20) / 20
  }

  /** The latest packet. */
  get last(): Packet | undefined {
    return this.#count === 0 ? undefined : this.#packet(this.#count - 1, this.#lastStart)
  }

  /** Adds a packet, forgetting the oldest beyond `limit` (at least 1). */
  record({ startedAt, durationMs, outcome, said }: Packet, limit: number): void {
    const most = Math.max(1, limit)
    while (this.#count >= most) this.#forgetOldest()
    if ((this.#skipped + this.#count) % packetsPerBlock === 0 && !this.#grow()) return
    const number = outcomes.indexOf(outcome)
    const gap = this.#count === 0 ? 0 : within(startedAt - this.#lastStart, maxGapMs)
    const text = said === undefined ? 0 : (this.#texts ??= new TextTable(this.#store)).add(said)
    const slot = this.#skipped + this.#count
    this.#write(slot, 0, gap)
    this.#write(slot, 1, number + text * textUnit + within(durationMs, maxDurationMs) * durationUnit)
    this.#lastStart = startedAt
    this.#span += gap
    this.#count++
    this.#recorded++
    this.#tally(number, 1)
  }

  /** The latest packets, oldest first. What is forgotten while they are read is left out, what is recorded meanwhile too. */
  *packets(limit: number = this.#count): Generator<Packet> {
    const end = this.#recorded
    let position = end - Math.min(limit, this.#count)
    let startedAt = this.#lastStart - this.#span
    for (let index = 1; index <= this.#index(position); index++) startedAt += this.#word(this.#skipped + index, 0)
    while (position < end) {
      yield this.#packet(this.#index(position), startedAt)
      const index = this.#index(++position)
      if (index > 0) startedAt += this.#word(this.#skipped + index, 0)
      else {
        position -= index
        startedAt = this.#lastStart - this.#span
      }
    }
  }

  /** Forgets everything, and gives its memory back. */
  clear(): void {
    while (this.#count > 0) this.#forgetOldest()
    for (const block of this.#blocks) this.#store.release(block, false)
    this.#blocks.length = 0
    this.#skipped = 0
    this.#texts = undefined
  }

  loseOldestBlock(): void {
    const kept = this.#skipped + this.#count - packetsPerBlock
    // The last packet of a block takes the block itself with it, which is gone already.
    while (this.#count > kept) this.#dropOldest()
    this.#skipped = 0
    this.#blocks.shift()
  }

  #index(position: number): number {
    return position - (this.#recorded - this.#count)
  }

  /** False where there are more histories than blocks. */
  #grow(): boolean {
    const full = this.#blocks.at(-1)
    if (full !== undefined) this.#store.seal(full)
    const block = this.#store.allocate(this)
    if (block !== undefined) this.#blocks.push(block)
    return block !== undefined
  }

  #packet(index: number, startedAt: number): Packet {
    const word = this.#word(this.#skipped + index, 1)
    const said = this.#texts?.text(Math.floor((word % durationUnit) / textUnit))
    const outcome = outcomes[word % textUnit] ?? "fault"
    return { startedAt, durationMs: Math.floor(word / durationUnit), outcome, ...(said === undefined ? {} : { said }) }
  }

  #word(slot: number, half: 0 | 1): number {
    return this.#store.word(this.#blocks[Math.floor(slot / packetsPerBlock)] ?? -1, (slot % packetsPerBlock) * 2 + half)
  }

  #write(slot: number, half: 0 | 1, value: number): void {
    this.#store.write(this.#blocks[Math.floor(slot / packetsPerBlock)] ?? -1, (slot % packetsPerBlock) * 2 + half, value)
  }

  #forgetOldest(): void {
    this.#dropOldest()
    if (this.#skipped < packetsPerBlock) return
    this.#skipped = 0
    const block = this.#blocks.shift()
    if (block !== undefined) this.#store.release(block, this.#blocks.length > 0)
  }

  #dropOldest(): void {
    const word = this.#word(this.#skipped, 1)
    this.#tally(word % textUnit, -1)
    this.#texts?.drop(Math.floor((word % durationUnit) / textUnit))
    this.#count--
    this.#skipped++
    this.#span = this.#count === 0 ? 0 : this.#span - this.#word(this.#skipped, 0)
  }

  #tally(outcome: number, step: number): void {
    if (outcomes[outcome] === "active") this.#active += step
    if (outcomes[outcome] === "fault") this.#faults += step
  }
}

function within(value: number, most: number): number {
  return Math.min(Math.max(Math.round(value), 0), most)
}
