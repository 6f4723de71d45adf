import { seededRandom } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { type Packet, PacketRing } from "./packet-ring.ts"
import { blockBytes, PacketStore, packetsPerBlock } from "./packet-store.ts"

const packet = (startedAt: number, more: Partial<Packet> = {}): Packet => ({ startedAt, durationMs: 1, outcome: "active", ...more })
/** Room for so many blocks, beside the eighth that texts may take. */
const storeOf = (blocks: number) => new PacketStore(Math.ceil((blocks * blockBytes * 8) / 7))

it("takes the oldest packets first, whosever they are, and never more than it may", () => {
  const store = storeOf(10)
  const [busy, idle] = [new PacketRing(store), new PacketRing(store)]
  for (let n = 0; n < packetsPerBlock * 2; n++) idle.record(packet(n), 1_000_000)
  for (let n = 0; n < packetsPerBlock * 40; n++) {
    busy.record(packet(1000 + n), 1_000_000)
    expect(store.bytes).toBeLessThanOrEqual(10 * blockBytes)
  }
  // The block that the idle one still fills stays: it is the latest that is known of it.
  expect([...idle.packets()].map(({ startedAt }) => startedAt)).toEqual(Array.from({ length: packetsPerBlock }, (_, n) => packetsPerBlock + n))
  const starts = [...busy.packets()].map(({ startedAt }) => startedAt)
  expect(starts.at(-1)).toBe(1000 + packetsPerBlock * 40 - 1)
  expect(starts).toEqual(Array.from({ length: packetsPerBlock * 9 }, (_, n) => 1000 + packetsPerBlock * 31 + n))
})

it("keeps every history to itself while they grow, shrink, come and go", () => {
  const random = seededRandom(3)
  const store = storeOf(60)
  const rings = new Map<PacketRing, number[]>()
  let at = 0
  for (let step = 0; step < 20_000; step++) {
    if (rings.size === 0 || (rings.size < 20 && random() < 0.01)) rings.set(new PacketRing(store), [])
    const [ring, starts] = [...rings][Math.floor(random() * rings.size)] ?? []
    if (ring === undefined || starts === undefined) continue
    if (random() < 0.005) {
      ring.clear()
      rings.delete(ring)
      continue
    }
    ring.record(packet((at += 10), { outcome: "inactive", said: `answer ${step % 5}` }), random() < 0.5 ? 100 : 1000)
    starts.push(at)
    const kept = [...ring.packets()].map(({ startedAt }) => startedAt)
    expect(kept.length).toBeGreaterThan(0)
    expect(kept).toEqual(starts.slice(-kept.length))
  }
  for (const ring of rings.keys()) ring.clear()
  expect(store.bytes).toBe(0)
})

it("keeps nothing of those for whom there is no room at all", () => {
  const store = storeOf(2)
  const rings = [new PacketRing(store), new PacketRing(store), new PacketRing(store)]
  for (const ring of rings) ring.record(packet(1), 10)
  expect(rings.map(({ size }) => size)).toEqual([1, 1, 0])
  rings[0]?.clear()
  rings[2]?.record(packet(2), 10)
  expect(rings.map(({ size }) => size)).toEqual([0, 1, 1])
})

it("gives texts no more than their share", () => {
  const store = new PacketStore(80_000)
  const ring = new PacketRing(store)
  for (let n = 0; n < 100; n++) ring.record(packet(n, { outcome: "inactive", said: `${n} `.repeat(100) }), 1000)
  expect(store.bytes).toBeLessThan(80_000)
  expect(ring.last?.said).toBe("one of too many different answers to be kept")
})
