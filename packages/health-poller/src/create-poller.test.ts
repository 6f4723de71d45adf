import { ManualClock, seededRandom, settle } from "@meshwork/contract/testing"
import { describe, expect, it } from "vitest"
import { createPoller } from "./create-poller.ts"
import { bad, good, hang, pollerBench as bench, target } from "./testing/poller-bench.ts"

describe("a cycle", () => {
  it("probes a single newcomer at once and reports what it concluded", async () => {
    const { clock, poller, verdicts, probes } = bench(() => good)
    poller.sync([target("a", {}, { boot: "b1" })])
    await clock.advance(0)
    expect(probes).toEqual([{ id: "a", at: 0 }])
    const reason = "GET /health answered 200 in 1 ms; a failed check would make it failing, one every 10 s"
    expect(verdicts).toEqual([{ service: "payment", id: "a", boot: "b1", status: "passing", reason, availability: 1 }])
  })

  it("goes on every frequency and reports nothing while nothing changes", async () => {
    const { clock, poller, verdicts, probes } = bench(() => good)
    poller.sync([target("a")])
    await clock.advance(60_000)
    expect(probes.length).toBeGreaterThanOrEqual(6)
    expect(probes.length).toBeLessThanOrEqual(7)
    expect(verdicts).toHaveLength(1)
  })

  it("tries again `retries` times, the retry delay apart, before it counts as failed", async () => {
    const { clock, poller, verdicts, probes } = bench(() => bad)
    poller.sync([target("a", { retries: 2, retryDelaySeconds: 1 })])
    await clock.advance(1999)
    expect(probes.map(({ at }) => at)).toEqual([0, 1000])
    expect(verdicts).toEqual([])
    await clock.advance(1)
    expect(probes).toHaveLength(3)
    const reason = "connect refused (3 tries failed); a good check will make it passing, one every 10 s"
    expect(verdicts).toMatchObject([{ status: "failing", reason, availability: 0 }])
  })

  it("ends at the first success", async () => {
    const { clock, poller, verdicts, probes } = bench((_, n) => (n < 2 ? bad : good))
    poller.sync([target("a", { retries: 5, retryDelaySeconds: 1 })])
    await clock.advance(5000)
    expect(probes).toHaveLength(2)
    expect(verdicts).toMatchObject([{ status: "passing" }])
  })

  it("counts cycles, not probes, towards failAfter", async () => {
    const { clock, poller, verdicts, probes } = bench(() => bad)
    poller.sync([target("a", { retries: 1, failAfter: 2 }, { health: { status: "passing", since: 0, reason: "" } })])
    await clock.advance(100)
    expect(probes).toHaveLength(2)
    expect(verdicts).toEqual([])
    await clock.advance(11_000)
    expect(probes).toHaveLength(4)
    expect(verdicts).toMatchObject([{ status: "failing" }])
  })

  it("leaves a failing target failing until a probe says otherwise", async () => {
    let answer = bad
    const { clock, poller, verdicts } = bench(() => answer)
    poller.sync([target("a", {}, { health: { status: "failing", since: 0, reason: "" } })])
    await clock.advance(5000)
    expect(verdicts).toEqual([])
    answer = good
    await clock.advance(11_000)
    expect(verdicts).toMatchObject([{ status: "passing", availability: 0.5 }])
  })

  it("reports a new availability step at most every 10 s", async () => {
    const { clock, poller, verdicts } = bench((_, n) => (n % 2 === 0 ? bad : good))
    poller.sync([target("a", { frequencySeconds: 1, failAfter: 100 })])
    await clock.advance(9000)
    expect(verdicts).toHaveLength(1)
    await clock.advance(3000)
    expect(verdicts).toHaveLength(2)
    expect(verdicts[1]).toMatchObject({ status: "passing", availability: expect.toSatisfy((share: number) => share > 0.4 && share < 0.7) })
  })
})

describe("sync", () => {
  it("spreads thousands of newcomers over a second", async () => {
    const { clock, poller, probes } = bench(() => good)
    poller.sync(Array.from({ length: 2000 }, (_, n) => target(`i${n}`)))
    await clock.advance(1000)
    expect(new Set(probes.map(({ id }) => id)).size).toBe(2000)
    expect(probes.filter(({ at }) => at < 500).length).toBeGreaterThan(800)
    expect(probes.filter(({ at }) => at < 500).length).toBeLessThan(1200)
  })

  it("keeps schedule and history of what did not change", async () => {
    const { clock, poller, probes } = bench(() => good)
    poller.sync([target("a")])
    await clock.advance(5000)
    poller.sync([target("a"), target("b")])
    await clock.advance(1000)
    expect(probes.map(({ id }) => id)).toEqual(["a", "b"])
    expect([...poller.history({ service: "payment", id: "a" })]).toEqual([{ startedAt: 1_700_000_000_000, durationMs: 0, outcome: "active" }])
  })

  it("probes a new boot at once and drops the late answer about its predecessor", async () => {
    const setup = bench((probed, n, signal) => (n === 1 ? hang(setup.clock, probed, signal) : good))
    setup.poller.sync([target("a", {}, { boot: "old" })])
    await setup.clock.advance(100)
    setup.poller.sync([target("a", {}, { boot: "new" })])
    await setup.clock.advance(0)
    expect(setup.probes.map(({ at }) => at)).toEqual([0, 100])
    await setup.clock.advance(6000)
    expect(setup.verdicts).toMatchObject([{ status: "passing", boot: "new" }])
  })

  it("probes at once what its registry no longer knows the health of", async () => {
    const { clock, poller, verdicts, probes } = bench(() => good)
    poller.sync([target("a")])
    await clock.advance(0)
    poller.sync([target("a", {}, { health: { status: "passing", since: 0, reason: "" } })])
    await clock.advance(100)
    expect(probes).toHaveLength(1)
    poller.sync([target("a")])
    await clock.advance(0)
    expect(probes).toHaveLength(2)
    expect(verdicts).toHaveLength(2)
  })

  it("stops probing what is gone, and its probe under way says nothing", async () => {
    const setup = bench((probed, _, signal) => hang(setup.clock, probed, signal))
    setup.poller.sync([target("a")])
    await setup.clock.advance(10)
    setup.poller.sync([])
    await setup.clock.advance(60_000)
    expect(setup.probes).toHaveLength(1)
    expect(setup.verdicts).toEqual([])
    expect([...setup.poller.history({ service: "payment", id: "a" })]).toEqual([])
  })
})

describe("slots", () => {
  it("are bounded, and hanging targets do not starve the others", async () => {
    let under = 0
    let most = 0
    const setup = bench(
      async (probed, _, signal) => {
        most = Math.max(most, ++under)
        const result = probed.id?.startsWith("dead") ? await hang(setup.clock, probed, signal) : good
        under--
        return result
      },
      { concurrency: 10, lingering: 20 },
    )
    const dead = Array.from({ length: 200 }, (_, n) => target(`dead${n}`, { timeoutSeconds: 5 }))
    setup.poller.sync(dead)
    await setup.clock.advance(400_000)
    const begin = setup.clock.monotonic()
    setup.poller.sync([...dead, ...Array.from({ length: 20 }, (_, n) => target(`alive${n}`))])
    await setup.clock.advance(30_000)
    const alive = setup.probes.filter(({ id, at }) => id.startsWith("alive") && at >= begin)
    expect(most).toBeLessThanOrEqual(30)
    expect(most).toBeGreaterThanOrEqual(15)
    expect(alive.length).toBeGreaterThanOrEqual(20 * 2)
    expect(Math.max(...alive.filter((_, n) => n < 20).map(({ at }) => at - begin))).toBeLessThan(1000)
    const deadProbed = setup.probes.filter(({ id, at }) => id.startsWith("dead") && at >= begin)
    expect(deadProbed.length).toBeGreaterThan(20)
  })
})

it("a paused poller starts nothing, keeps what it knows, and catches up within a second", async () => {
  const { clock, poller, probes } = bench(() => good, { concurrency: 2 })
  poller.sync(["a", "b", "c"].map((id) => target(id)))
  await clock.advance(100)
  const before = probes.length
  poller.pause(true)
  poller.pause(true)
  poller.sync(["a", "b", "c", "d"].map((id) => target(id)))
  await clock.advance(300_000)
  expect(probes).toHaveLength(before)
  expect(poller.statistics()).toMatchObject({ targets: 4, waiting: 0, underWay: 0, lateMs: 0 })
  expect([...poller.history({ service: "payment", id: "a" })]).toHaveLength(1)
  poller.pause(false)
  await clock.advance(1000)
  expect(
    probes
      .slice(before)
      .map(({ id }) => id)
      .toSorted(),
  ).toEqual(["a", "b", "c", "d"])
  await clock.advance(10_600)
  expect(probes).toHaveLength(before + 8)
  await poller.close()
  poller.pause(true)
  expect(clock.pendingTimers).toBe(0)
})

it("probes that wait for a slot wait on when the poller is paused, and those under way end", async () => {
  const { clock, poller, probes, verdicts } = bench((probed, _, signal) => hang(clock, probed, signal), { concurrency: 1, lingering: 1 })
  poller.sync(["a", "b", "c", "d"].map((id) => target(id)))
  await clock.advance(50)
  const before = probes.length
  expect(before).toBeLessThan(4)
  poller.pause(true)
  await clock.advance(60_000)
  expect(probes).toHaveLength(before)
  expect(verdicts).toHaveLength(before)
  poller.pause(false)
  await clock.advance(60_000)
  expect(new Set(probes.map(({ id }) => id)).size).toBe(4)
  await poller.close()
})

it("pings, which take a process each, have bounds of their own, and leave the others alone", async () => {
  let pings = 0
  let most = 0
  const setup = bench(async (probed, _, signal) => {
    if (probed.check.icmp !== true) return good
    most = Math.max(most, ++pings)
    const result = await hang(setup.clock, probed, signal)
    pings--
    return result
  })
  const { clock, poller, probes } = setup
  const silent = Array.from({ length: 3000 }, (_, n) => target(`silent${n}`, { method: "ping", icmp: true }))
  const well = Array.from({ length: 100 }, (_, n) => target(`well${n}`))
  poller.sync([...silent, ...well])
  await clock.advance(60_000)
  expect(most).toBeGreaterThan(200)
  expect(most).toBeLessThanOrEqual(250)
  expect(probes.filter(({ id }) => id.startsWith("well")).length).toBeGreaterThanOrEqual(500)
  // A check that is changed while it waits waits no more among the pings.
  const before = probes.length
  poller.sync([...silent.map((each) => ({ ...each, check: { ...each.check, icmp: false } })), ...well])
  await clock.advance(1000)
  expect(new Set(probes.slice(before).map(({ id }) => id)).size).toBeGreaterThanOrEqual(3000)
})

describe("own troubles", () => {
  it("a pause of this process is no failure of the target: it is probed again", async () => {
    const setup = bench((probed, n, signal) => (n === 1 ? hang(setup.clock, probed, signal) : good))
    setup.poller.sync([target("a", {}, { health: { status: "passing", since: 0, reason: "" } })])
    await setup.clock.advance(10)
    setup.clock.pause(60_000)
    await setup.clock.advance(1)
    expect(setup.probes).toHaveLength(2)
    expect(setup.verdicts.filter(({ status }) => status === "failing")).toEqual([])
    expect([...setup.poller.history({ service: "payment", id: "a" })].map(({ outcome }) => outcome)).toEqual(["active"])
  })

  it("an own fault changes neither health nor availability", async () => {
    const { clock, poller, verdicts } = bench((_, n) => (n === 1 ? good : { outcome: "fault", reason: "EMFILE" }))
    poller.sync([target("a")])
    await clock.advance(60_000)
    expect(verdicts).toHaveLength(1)
    expect([...poller.history({ service: "payment", id: "a" })].length).toBeGreaterThan(4)
  })

  it("a probe that throws is an own fault", async () => {
    const { clock, poller, verdicts } = bench(() => {
      throw new Error("broken probe")
    })
    poller.sync([target("a")])
    await clock.advance(0)
    expect(verdicts).toEqual([])
    expect([...poller.history({ service: "payment", id: "a" })]).toMatchObject([{ outcome: "fault" }])
  })
})

it("close ends every probe, leaves no timer and may be called twice", async () => {
  const aborted: boolean[] = []
  const clock = new ManualClock()
  const poller = createPoller({
    clock,
    random: seededRandom(1),
    onVerdict: () => {},
    probe: (_, signal) =>
      new Promise((resolve) => signal.addEventListener("abort", () => (aborted.push(true), resolve({ outcome: "fault", reason: "called off" })))),
  })
  poller.sync([target("a"), target("b")])
  await clock.advance(10)
  await poller.close()
  await poller.close()
  await settle()
  expect(aborted).toEqual([true, true])
  expect(clock.pendingTimers).toBe(0)
})
