import { seededRandom } from "@meshwork/contract/testing"
import { expect, it, test } from "vitest"
import { type Packet, PacketRing } from "./packet-ring.ts"
import type { ProbeOutcome } from "./probe.ts"

const packet = (startedAt: number, outcome: ProbeOutcome = "active"): Packet => ({ startedAt, durationMs: startedAt % 977, outcome })

it("gives back what was recorded, oldest first, and forgets beyond the limit", () => {
  const ring = new PacketRing()
  for (let n = 1; n <= 30; n++) ring.record(packet(n * 10), 20)
  expect(ring.packets()).toEqual(Array.from({ length: 20 }, (_, index) => packet((index + 11) * 10)))
})

it("equals a plain list over random packets and changing limits", () => {
  const random = seededRandom(7)
  const ring = new PacketRing()
  let model: Packet[] = []
  let at = 1_700_000_000_000
  for (let n = 0; n < 5000; n++) {
    at += Math.floor(random() * 100_000)
    const limit = n % 500 < 250 ? 40 : 5 + Math.floor(random() * 200)
    const outcome = (["active", "inactive", "unreachable", "fault"] as const)[Math.floor(random() * 4)] ?? "fault"
    const said = outcome === "active" ? {} : { said: `answer ${Math.floor(random() * 30)}` }
    const next = { startedAt: at, durationMs: Math.floor(random() * 300_000), outcome, ...said }
    ring.record(next, limit)
    model = [...model, next].slice(-limit)
    if (n % 97 === 0) expect(ring.packets()).toEqual(model)
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
  const ring = new PacketRing()
  const name = { "+": "active", "-": "unreachable", "!": "fault" } as const
  for (const outcome of outcomes) ring.record(packet(1, name[outcome as "+"]), 100)
  expect(ring.availability).toBe(availability)
})

it("takes eight bytes for a packet where nothing was said", () => {
  const ring = new PacketRing()
  for (let n = 0; n < 5000; n++) ring.record(packet(n), 5000)
  expect(ring.bytes).toBe(5000 * 8)
})

it("keeps a text once, and only as long as a packet has it", () => {
  const ring = new PacketRing()
  const said = "x".repeat(1000)
  for (let n = 0; n < 100; n++) ring.record({ ...packet(n, "inactive"), said }, 100)
  expect(ring.bytes).toBeLessThan(100 * 8 + 2 * 1000)
  for (let n = 0; n < 100; n++) ring.record(packet(n), 100)
  expect(ring.bytes).toBeLessThan(1000)
})

it("says so where there are more different texts than it can keep", () => {
  const ring = new PacketRing()
  for (let n = 0; n < 400; n++) ring.record({ ...packet(n, "inactive"), said: `answer ${n}` }, 1000)
  const texts = ring.packets().map(({ said }) => said)
  expect(texts[253]).toBe("answer 253")
  expect(texts[399]).toBe("one of too many different answers to be kept")
  for (let n = 0; n < 400; n++) ring.record({ ...packet(n, "inactive"), said: `later ${n % 200}` }, 400)
  expect(ring.last?.said).toBe("later 199")
})

it("shrinks to what it is allowed, the oldest packets first", () => {
  const ring = new PacketRing()
  for (let n = 0; n < 1000; n++) ring.record(packet(n), 1000)
  ring.shrinkTo(800)
  expect(ring.bytes).toBe(800)
  expect(ring.packets().map(({ startedAt }) => startedAt)).toEqual(Array.from({ length: 100 }, (_, n) => 900 + n))
  ring.shrinkTo(0)
  expect(ring.packets()).toEqual([packet(999)])
  ring.record(packet(1000), 1000)
  expect(ring.size).toBe(2)
})
