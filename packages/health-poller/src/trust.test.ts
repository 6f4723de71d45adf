import { describe, expect, it } from "vitest"
import type { ProbeResult, ProbeTarget } from "./probe.ts"
import { bad, good, hang, pollerBench, target } from "./testing/poller-bench.ts"

const passing = { health: { status: "passing" as const, since: 0, reason: "" } }

describe("an instance that flaps", () => {
  it("every second is held as failing after the third failure, and recovers fully once it is steady", async () => {
    let steady = false
    const bench = pollerBench(() => (steady || Math.floor(bench.clock.monotonic() / 1000) % 2 === 0 ? good : bad))
    bench.poller.sync([target("a", { frequencySeconds: 0.5 })])
    await bench.clock.advance(60_000)
    const changesOf = () => bench.verdicts.filter(({ status }, index) => status !== bench.verdicts[index - 1]?.status)
    const changes = changesOf()
    expect(changes.length).toBeLessThanOrEqual(6)
    expect(changes.at(-1)).toMatchObject({
      status: "failing",
      penalty: expect.toSatisfy((penalty: number) => penalty >= 2.5),
      reason: expect.stringMatching(/^connect refused; it flaps \(penalty \d\.\d\), so it passes again after \d+ s without a failure$/),
    })
    expect(bench.poller.state({ service: "payment", id: "a" })).toMatchObject({ heldUntil: expect.any(Number), penalty: expect.any(Number) })
    steady = true
    await bench.clock.advance(31_000)
    expect(bench.verdicts.at(-1)).toMatchObject({ status: "passing" })
    await bench.clock.advance(120_000)
    expect(changesOf()).toHaveLength(changes.length + 1)
    expect(bench.poller.state({ service: "payment", id: "a" })).not.toHaveProperty("penalty")
  })

  it("does not escape by being registered anew", async () => {
    let up = true
    const bench = pollerBench(() => (up ? good : bad))
    bench.poller.sync([target("a", { frequencySeconds: 1 }, { boot: "b" })])
    for (let flap = 0; flap < 4; flap++) {
      await bench.clock.advance(2000)
      up = false
      await bench.clock.advance(2000)
      up = true
    }
    expect(bench.verdicts.at(-1)).toMatchObject({ status: "failing" })
    bench.poller.sync([])
    bench.poller.sync([target("a", { frequencySeconds: 1 }, { boot: "b" })])
    await bench.clock.advance(0)
    expect(bench.verdicts.at(-1)).toMatchObject({ status: "failing", reason: expect.stringMatching(/^held as failing although GET .* answered 200/) })
    expect([...bench.poller.history({ service: "payment", id: "a" })].length).toBeGreaterThan(8)
  })

  it("starts anew with another process", async () => {
    let up = true
    const bench = pollerBench(() => (up ? good : bad))
    bench.poller.sync([target("a", { frequencySeconds: 1 }, { boot: "b" })])
    for (let flap = 0; flap < 4; flap++) {
      await bench.clock.advance(2000)
      up = false
      await bench.clock.advance(2000)
      up = true
    }
    bench.poller.sync([target("a", { frequencySeconds: 1 }, { boot: "c" })])
    await bench.clock.advance(0)
    expect(bench.verdicts.at(-1)).toMatchObject({ status: "passing", boot: "c" })
  })
})

it("a server that takes over goes on with the penalty that its predecessor stored", async () => {
  const taken = async (health: { status: "passing" | "failing"; penalty?: number }) => {
    const bench = pollerBench(() => good)
    bench.poller.sync([target("a", { frequencySeconds: 1 }, { health: { since: 0, reason: "", ...health } })])
    await bench.clock.advance(12_000)
    return bench
  }
  const held = await taken({ status: "failing", penalty: 3.4 })
  expect(held.verdicts.map(({ status }) => status)).not.toContain("passing")
  await held.clock.advance(15_000)
  expect(held.verdicts.at(-1)).toMatchObject({ status: "passing" })
  expect((await taken({ status: "failing", penalty: 1 })).verdicts[0]).toMatchObject({ status: "passing" })
  expect((await taken({ status: "failing" })).verdicts[0]).toMatchObject({ status: "passing" })
  expect((await taken({ status: "passing", penalty: 3.4 })).verdicts.map(({ status }) => status)).not.toContain("failing")
})

describe("what is known of an instance", () => {
  it("outlives a change of its check, which is tried at once", async () => {
    const bench = pollerBench(() => bad)
    bench.poller.sync([target("a", { failAfter: 3 }, passing)])
    await bench.clock.advance(12_000)
    bench.poller.sync([target("a", { failAfter: 3, path: "/other" }, passing)])
    await bench.clock.advance(0)
    expect(bench.probes).toHaveLength(3)
    expect(bench.verdicts).toMatchObject([{ status: "failing" }])
    expect([...bench.poller.history({ service: "payment", id: "a" })]).toHaveLength(3)
  })

  it("is said again when the registry holds another verdict", async () => {
    const bench = pollerBench(() => good)
    bench.poller.sync([target("a")])
    await bench.clock.advance(0)
    bench.poller.sync([target("a", {}, { health: { status: "failing", since: 0, reason: "somebody else's" } })])
    await bench.clock.advance(11_000)
    expect(bench.verdicts.map(({ status }) => status)).toEqual(["passing", "passing"])
  })

  it("tells what was probed last, what came back, and what will change the verdict", async () => {
    const bench = pollerBench(() => bad)
    bench.poller.sync([target("a", { passAfter: 2, retries: 1 })])
    await bench.clock.advance(0)
    expect(bench.poller.state({ service: "payment", id: "a" })).toMatchObject({
      since: 1_700_000_000_000,
      last: { at: 1_700_000_000_000, ms: 0, status: "unreachable", said: "connection refused" },
      nextAt: expect.toSatisfy((at: number) => at > 1_700_000_009_000),
      lastFailureAt: 1_700_000_000_000,
      failed: 1,
      next: "2 good checks in a row will make it passing, one every 10 s",
    })
    expect(bench.poller.state({ service: "payment", id: "b" })).toBeUndefined()
  })
})

/** Hosts that answer over the network, until they do not. */
function network(hosts: string[], check: object = { timeoutSeconds: 2 }) {
  const silent = new Set<string>()
  const bench = pollerBench((probed: ProbeTarget, _, signal) =>
    silent.has(probed.host) ? hang(bench.clock, probed, signal, { network: "silent" }) : ({ ...good, network: "heard" } satisfies ProbeResult),
  )
  const targets = hosts.map((host) => target(host, check, { host }))
  bench.poller.sync(targets)
  return { ...bench, silent, targets }
}

const hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]

describe("a poller that is cut off from the network", () => {
  it("takes no service out, says so, and goes on as before once it hears anything", async () => {
    const { clock, silent, verdicts, troubles, poller, probes } = network(hosts)
    await clock.advance(1000)
    expect(verdicts).toHaveLength(4)
    for (const host of hosts) silent.add(host)
    await clock.advance(120_000)
    expect(verdicts).toHaveLength(4)
    expect(troubles).toMatchObject([{ kind: "cut-off", present: true, message: expect.stringContaining("cut off from the network") }])
    expect(poller.statistics().cutOffSince).toBeGreaterThan(1_700_000_000_000)
    expect([...poller.history({ service: "payment", id: "10.0.0.1" })].at(-1)).toMatchObject({ outcome: "fault" })
    silent.clear()
    await clock.advance(11_000)
    const resumed = probes.filter(({ at }) => at > 121_000)
    expect(new Set(resumed.map(({ id }) => id)).size).toBe(4)
    expect(troubles.at(-1)).toMatchObject({ kind: "cut-off", present: false })
    expect(verdicts.filter(({ status }) => status === "failing")).toEqual([])
    expect(poller.statistics().cutOffSince).toBeUndefined()
  })

  it("finds out at once who died meanwhile", async () => {
    const { clock, silent, verdicts } = network(hosts, { timeoutSeconds: 2, frequencySeconds: 60 })
    await clock.advance(1000)
    for (const host of hosts) silent.add(host)
    await clock.advance(80_000)
    for (const host of hosts.slice(1)) silent.delete(host)
    await clock.advance(70_000)
    expect(verdicts.filter(({ status }) => status === "failing").map(({ id }) => id)).toEqual(["10.0.0.1"])
  })

  it("believes it all after 300 s", async () => {
    const { clock, silent, verdicts } = network(hosts)
    await clock.advance(1000)
    for (const host of hosts) silent.add(host)
    await clock.advance(290_000)
    expect(verdicts.filter(({ status }) => status === "failing")).toEqual([])
    await clock.advance(40_000)
    expect(new Set(verdicts.filter(({ status }) => status === "failing").map(({ id }) => id)).size).toBe(4)
  })
})

it("a host that dies alone is failing within two time limits, even where the others are asked but once an hour", async () => {
  const { clock, silent, verdicts, poller, targets } = network(hosts, { timeoutSeconds: 2, frequencySeconds: 3600 })
  await clock.advance(1000)
  silent.add("10.0.0.2")
  poller.sync(targets.map((each) => (each.id === "10.0.0.2" ? { ...each, check: { ...each.check, frequencySeconds: 5 } } : each)))
  await clock.advance(2 * 2000 + 600)
  expect(verdicts.at(-1)).toMatchObject({ id: "10.0.0.2", status: "failing" })
})

it("knows no host any more that a target has left", async () => {
  const { clock, poller, silent, verdicts, targets } = network(hosts.slice(0, 2))
  await clock.advance(1000)
  // The second one moves to the first one's host: were the old one still known, its silence would be missing for a cut-off.
  poller.sync(targets.map((each) => ({ ...each, host: "10.0.0.1" })))
  await clock.advance(1000)
  silent.add("10.0.0.1")
  await clock.advance(15_000)
  expect(
    verdicts
      .filter(({ status }) => status === "failing")
      .map(({ id }) => id)
      .toSorted(),
  ).toEqual(["10.0.0.1", "10.0.0.2"])
})

it("a time limit that comes late says nothing about the target at first", async () => {
  let lateMs = 0
  const bench = pollerBench((probed, _, signal) =>
    hang(bench.clock, { ...probed, check: { ...probed.check, timeoutSeconds: 0.1 + lateMs / 1000 } }, signal),
  )
  bench.poller.sync([target("a", { timeoutSeconds: 0.1 }, passing)])
  lateMs = 300
  bench.poller.sync([target("a", { timeoutSeconds: 0.1 }, passing), target("b", { timeoutSeconds: 0.1 }, passing)])
  await bench.clock.advance(450)
  expect(bench.verdicts).toMatchObject([{ id: "a" }])
  expect(bench.probes.filter(({ id }) => id === "b")).toHaveLength(2)
  await bench.clock.advance(1600)
  expect(bench.verdicts.map(({ id }) => id)).toEqual(["a", "b"])
})

it("one that leaves while this process seems cut off leaves no fault behind", async () => {
  const broken = target("broken", {}, { host: "127.0.0.1" })
  let faulty = true
  const silent = new Set<string>()
  const bench = pollerBench((probed, _, signal) => {
    if (probed.id === "broken") return faulty ? { outcome: "fault", reason: "EMFILE" } : good
    return silent.has(probed.host) ? hang(bench.clock, probed, signal, { network: "silent" }) : { ...good, network: "heard" }
  })
  const others = hosts.map((host) => target(host, { timeoutSeconds: 2 }, { host }))
  bench.poller.sync([broken, ...others])
  await bench.clock.advance(1000)
  for (const host of hosts) silent.add(host)
  await bench.clock.advance(30_000)
  expect(bench.troubles.map(({ kind }) => kind)).toEqual(["fault", "cut-off"])
  bench.poller.sync(others)
  faulty = false
  silent.clear()
  await bench.clock.advance(30_000)
  bench.poller.sync([...others, { ...broken, id: "broken2" }])
  await bench.clock.advance(15_000)
  expect(bench.troubles.filter(({ kind, present }) => kind === "fault" && !present)).toHaveLength(1)
})

it("tells of its own faults once, and when they are over", async () => {
  let broken = true
  const bench = pollerBench((probed) => (broken && probed.id === "a" ? { outcome: "fault", reason: "EMFILE" } : good))
  bench.poller.sync([target("a"), target("b")])
  await bench.clock.advance(60_000)
  expect(bench.troubles).toEqual([{ kind: "fault", present: true, message: "EMFILE" }])
  broken = false
  await bench.clock.advance(11_000)
  expect(bench.troubles.at(-1)).toMatchObject({ kind: "fault", present: false })
})

it("forgets no history while there is room, and bounds it where there is none", async () => {
  const bench = pollerBench(() => good, { historyBytes: 2000 })
  bench.poller.sync(["a", "b"].map((id) => target(id, { frequencySeconds: 0.1 })))
  await bench.clock.advance(60_000)
  expect(bench.poller.statistics().historyBytes).toBeLessThanOrEqual(2100)
  const lengths = ["a", "b"].map((id) => [...bench.poller.history({ service: "payment", id })].length)
  expect(Math.min(...lengths)).toBeGreaterThan(60)
})
