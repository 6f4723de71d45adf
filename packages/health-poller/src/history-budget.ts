import type { Packet, PacketRing } from "./packet-ring.ts"

/** Bounds the memory of many histories together. */
export class HistoryBudget {
  readonly #most: number
  readonly #rings = new Set<PacketRing>()
  #bytes = 0

  /** @param most bytes of all histories together */
  constructor(most: number) {
    this.#most = most
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Adds a packet to a history. Where all of them hold too much, one that has more than its share gives away its oldest packets. */
  record(ring: PacketRing, packet: Packet, limit: number): void {
    const before = this.#rings.has(ring) ? ring.bytes : 0
    this.#rings.add(ring)
    ring.record(packet, limit)
    this.#bytes += ring.bytes - before
    if (this.#bytes <= this.#most) return
    const grown = ring.bytes
    const share = this.#most / this.#rings.size
    if (grown > share) ring.shrinkTo(share)
    this.#bytes += ring.bytes - grown
  }

  /** Counts a history no more. */
  drop(ring: PacketRing): void {
    if (this.#rings.delete(ring)) this.#bytes -= ring.bytes
  }
}
