import { describe, expect, it } from "vitest"
import { decideExpiry, leaseEnd, type LeaseView, ranOutBeforeStop } from "./expiry.ts"

const now = 1_000_000
/** Leases of 30 s by how many seconds ago each was heard. */
const leases = (...silences: readonly number[]): LeaseView[] =>
  silences.map((silence, index) => ({ id: String(index), ttlMs: 30_000, renewedAt: now - silence * 1000 }))
const nobody = { here: 0, elsewhere: 0 }
/** The same as another server hears them. */
const foreign = (...silences: readonly number[]): LeaseView[] => leases(...silences).map((lease) => ({ ...lease, id: `f${lease.id}`, foreign: true }))
const doubted = (lease: LeaseView): LeaseView => ({ ...lease, suspectUntil: now + 1000 })

describe("who goes and who is held", () => {
  it.each([
    ["nobody while all are heard", leases(1, 2, 3), 0, [], []],
    ["nobody at the very end of a lease", leases(30), 0, [], []],
    ["one alone", leases(31), 0, ["0"], []],
    ["two of two: there are too few to tell", leases(31, 31), 0, ["0", "1"], []],
    ["one of three, the others heard", leases(31, 1, 1), 0, ["0"], []],
    ["two of three are held", leases(31, 31, 1), 0, [], ["0", "1"]],
    ["one that ran out holds those that are late", leases(31, 16, 1, 1), 0, [], ["0", "1"]],
    ["exactly half is enough", leases(31, 31, 1, 1), 0, [], ["0", "1"]],
    ["just under half is not", leases(31, 31, 1, 1, 1), 0, ["0", "1"], []],
    ["those gone lately count", leases(31, 1, 1, 1), 2, [], ["0"]],
    ["nobody is held while no lease runs out, however late", leases(29, 29, 29), 0, [], []],
    ["those without a lease do not count", [...leases(31), { id: "9", ttlMs: 0, renewedAt: 0 }, { id: "8", ttlMs: 0, renewedAt: 0 }], 0, ["0"], []],
  ])("%s", (_title, given, ranOutLately, expire, suspect) => {
    expect(decideExpiry(given, { here: ranOutLately, elsewhere: 0 }, now)).toMatchObject({ expire, suspect })
  })

  it.each([
    ["one that others hear is nobody's business here", foreign(900), 0, [], []],
    ["one of four, the others heard elsewhere", [...leases(31), ...foreign(0, 0, 0)], 0, ["0"], []],
    [
      "all three that are heard here are held, though many more are heard elsewhere",
      [...leases(31, 31, 31), ...foreign(0, 0, 0, 0, 0, 0)],
      0,
      [],
      ["0", "1", "2"],
    ],
    ["one of three, when another server doubts another one", [...leases(31), ...foreign(0), ...foreign(0).map(doubted)], 0, [], ["0"]],
    ["one of three, when another one ran out elsewhere", [...leases(31), ...foreign(0)], 1, [], ["0"]],
  ])("where several servers hear a service: %s", (_title, given, elsewhere, expire, suspect) => {
    expect(decideExpiry(given, { here: 0, elsewhere }, now)).toMatchObject({ expire, suspect })
  })

  it("a suspect goes when its time is up, and is not held again", () => {
    const held = leases(400, 400, 400).map((lease, index) => ({ ...lease, suspectUntil: now - 1 + index }))
    expect(decideExpiry(held, nobody, now)).toEqual({ expire: ["0"], suspect: [], nextDueAt: now })
  })

  it("a suspect never loses more than its own lease gave it", () => {
    expect(leaseEnd({ id: "a", ttlMs: 86_400_000, renewedAt: now, suspectUntil: now + 300_000 })).toBe(now + 86_400_000)
  })

  it("looks again when the next lease ends", () => {
    expect(decideExpiry(leases(5, 20, 1), nobody, now).nextDueAt).toBe(now + 10_000)
    expect(decideExpiry([{ id: "a", ttlMs: 0, renewedAt: 0 }], nobody, now).nextDueAt).toBe(Number.POSITIVE_INFINITY)
    expect(decideExpiry(leases(31, 31, 1), nobody, now).nextDueAt).toBe(now + 29_000)
  })
})

it.each([
  ["nothing is known of the stop", { ttlSeconds: 30, renewedAt: 0 }, null, false],
  ["it never ends", { ttlSeconds: 0, renewedAt: 0 }, 1e9, false],
  ["its latest possible end lies 2 s before the last sign of life", { ttlSeconds: 30, renewedAt: 0 }, 47_000, false],
  ["its latest possible end lies longer before", { ttlSeconds: 30, renewedAt: 0 }, 47_001, true],
  ["it was held as suspect", { ttlSeconds: 30, renewedAt: 0, suspectUntil: 60_000 }, 61_000, false],
  ["it was held as suspect for too long", { ttlSeconds: 30, renewedAt: 0, suspectUntil: 60_000 }, 62_001, true],
])("whether a lease ran out before the stop: %s", (_title, lease, lastAliveAt, expected) => {
  expect(ranOutBeforeStop(lease, lastAliveAt)).toBe(expected)
})
