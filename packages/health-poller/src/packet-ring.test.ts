import { seededRandom } from "@meshwork/contract/testing"
import { expect, it, test } from "vitest"
import { type Packet, PacketRing } from "./packet-ring.ts"
import { blockBytes, PacketStore } from "./packet-store.ts"
import type { ProbeOutcome } from "./probe.ts"

const packet = (startedAt: number, outcome: ProbeOutcome = "active"): Packet => ({ startedAt, durationMs: startedAt % 977, outcome })
const roomy = () => new PacketStore(1024 * 1024)

it("gives back what was recorded, oldest first, and forgets beyond the limit", () => {
  const ring = new PacketRing(roomy())
  for (let n = 1; n <= 30; n++) ring.record(packet(n * 10), 20)
  expect([...ring.packets()]).toEqual(Array.from({ length: 20 }, (_, index) => packet((index + 11) * 10)))
  expect([...ring.packets(3)]).toEqual([packet(280), packet(290), packet(300)])
  expect([...ring.packets(0)]).toEqual([])
})

it("equals a plain list over random packets and changing limits", () => {
  const random = seededRandom(7)
  const ring = new PacketRing(roomy())
  let model: Packet[] = []
  let at = 1_700_000_000_000
  for (let n = 0; n < 5000; n++) {
    at += Math.floor(random() * 100_000)
    const limit = n % 500 < 250 ? 40 : 1 + Math.floor(random() * 200)
    const outcome = (["active", "inactive", "unreachable", "fault"] as const)[Math.floor(random() * 4)] ?? "fault"
    const said = outcome === "active" ? {} : { said: `answer ${Math.floor(random() * 30)}` }
    const next = { startedAt: at, durationMs: Math.floor(random() * 300_000), outcome, ...said }
    ring.record(next, limit)
    model = [...model, next].slice(-limit)
    if (n % 97 === 0) expect([...ring.packets()]).toEqual(model)
    expect(ring.last).toEqual(next)
    const counted = model.filter((entry) => entry.outcome !== "fault")
    const share = counted.length === 0 ? 1 : counted.filter((entry) => entry.outcome === "active").length / counted.length
    expect(ring.availability).toBe(Math.round(share * 20) / 20)
  }
})

test.each([
  { outcomes: "", availability: 1 },
  { outcomes: "+", availability: 1 },
  { outcomes: "-", availability: 0 },
  { outcomes: "++-", availability: 0.65 },
  { outcomes: "+!!!", availability: 1 },
  { outcomes: "-+!", availability: 0.5 },
])("availability of '$outcomes' is $availability, in steps of 0.05 and without own faults", ({ outcomes, availability }) => {
  const ring = new PacketRing(roomy())
  const name = { "+": "active", "-": "unreachable", "!": "fault" } as const
  for (const outcome of outcomes) ring.record(packet(1, name[outcome as "+"]), 100)
  expect(ring.availability).toBe(availability)
})

it("takes little more than eight bytes for a packet where nothing was said", () => {
  const store = roomy()
  const ring = new PacketRing(store)
  for (let n = 0; n < 5000; n++) ring.record(packet(n), 5000)
  expect(store.bytes / 5000).toBeLessThan(9)
})

it("keeps a text once, and only as long as a packet has it", () => {
  const store = roomy()
  const ring = new PacketRing(store)
  const said = "x".repeat(1000)
  for (let n = 0; n < 100; n++) ring.record({ ...packet(n, "inactive"), said }, 100)
  const blocks = 5 * blockBytes
  expect(store.bytes).toBeLessThan(blocks + 2 * 1000)
  for (let n = 0; n < 100; n++) ring.record(packet(n), 100)
  expect(store.bytes).toBeLessThanOrEqual(blocks)
})

it("says so where there are more different texts than it can keep", () => {
  const ring = new PacketRing(roomy())
  for (let n = 0; n < 400; n++) ring.record({ ...packet(n, "inactive"), said: `answer ${n}` }, 1000)
  const texts = [...ring.packets()].map(({ said }) => said)
  expect(texts[253]).toBe("answer 253")
  expect(texts[399]).toBe("one of too many different answers to be kept")
  for (let n = 0; n < 400; n++) ring.record({ ...packet(n, "inactive"), said: `later ${n % 200}` }, 400)
  expect(ring.last?.said).toBe("later 199")
})

it("can be read while it goes on: what is forgotten meanwhile is left out, what is new too", () => {
  const ring = new PacketRing(roomy())
  for (let n = 0; n < 100; n++) ring.record(packet(n * 7), 100)
  const starts: number[] = []
  for (const { startedAt } of ring.packets()) {
    starts.push(startedAt / 7)
    if (starts.length === 3) for (let n = 100; n < 150; n++) ring.record(packet(n * 7), 100)
    if (starts.length === 10) ring.record(packet(150 * 7), 100)
  }
  expect(starts).toEqual([0, 1, 2, ...Array.from({ length: 50 }, (_, n) => 50 + n)])
  const reading = ring.packets()
  expect(reading.next().done).toBe(false)
  ring.clear()
  expect(reading.next().done).toBe(true)
})

it("forgets everything and gives its memory back", () => {
  const store = roomy()
  const ring = new PacketRing(store)
  for (let n = 0; n < 1000; n++) ring.record({ ...packet(n, "inactive"), said: `answer ${n % 3}` }, 700)
  ring.clear()
  expect([ring.size, store.bytes, ring.last, ring.availability]).toEqual([0, 0, undefined, 1])
  ring.record(packet(1), 10)
  expect([...ring.packets()]).toEqual([packet(1)])
})
