import { ManualClock } from "@meshwork/contract/testing"
import { describe, expect, it } from "vitest"
import { roundRobin } from "../balancers/index.ts"
import { retryBudget } from "../budget/retry-budget.ts"
import { constantDelay, linearBackoff } from "../delays/delay.ts"
import { percentileDelay } from "../delays/percentile-delay.ts"
import { createPool } from "../pool/create-pool.ts"
import { createStaticSource } from "../sources/static-source.ts"
import { parallel, sequential, untilDeadline } from "../strategies/strategy.ts"
import { fakeInstance, ScriptedTransport, type ScriptStep } from "../testing/index.ts"
import { createClientForPool } from "./client.ts"
import type { CallOptions, ClientOptions } from "./client-options.ts"

async function calling(steps: ScriptStep[], options: ClientOptions = {}, ports = [1, 2, 3, 4]) {
  const clock = new ManualClock()
  const transport = new ScriptedTransport(clock, steps)
  const source = createStaticSource("test")
  const instances = ports.map((port) => fakeInstance("a", port))
  source.set("a", instances, 0)
  const pool = createPool({ service: "a", source, balancer: roundRobin, clock })
  await pool.ready()
  const client = createClientForPool({ clock, random: () => 0.5, transport, ...options, pool })
  const run = async (method: string, call: CallOptions = {}, ms = 60_000) => {
    const begin = clock.monotonic()
    const settled = client.request(method, "/x", call).then(
      (response) => ({ status: response.status, attempts: response.attempts, at: clock.monotonic() - begin }),
      (error: { code: string }) => ({ code: error.code, at: clock.monotonic() - begin }),
    )
    await clock.advance(ms)
    return settled
  }
  const sentAt = () => transport.sent.map((sent) => sent.at)
  return { clock, transport, run, client, pool, sentAt }
}

const hedged = parallel({ attempts: 3, delay: constantDelay(100) })

describe("parallel", () => {
  it("starts another attempt after each delay, and the first accepted answer wins", async () => {
    const { run, transport, sentAt, pool } = await calling([{ hang: true }, { afterMs: 500 }, { afterMs: 50, status: 201 }])
    expect(await run("GET", { strategy: hedged })).toEqual({ status: 201, attempts: 3, at: 250 })
    expect(sentAt()).toEqual([0, 100, 200])
    expect(new Set(transport.sent.map((sent) => sent.address)).size).toBe(3)
    expect(transport.sent.map((sent) => sent.headers["x-request-attempt"])).toEqual(["1", "2", "3"])
    expect(pool.candidates().map((candidate) => candidate.endpoint.inFlight)).toEqual([0, 0, 0, 0])
  })

  it("counts each delay from the start of the attempt before", async () => {
    const { run, sentAt } = await calling([{ hang: true }, { hang: true }, { status: 200 }])
    await run("GET", { strategy: parallel({ delay: linearBackoff({ minMs: 0, multiplierMs: 100, jitter: 0 }) }) })
    expect(sentAt()).toEqual([0, 100, 300])
  })

  it("brings the next attempt forward when all so far were rejected, and counts on from there", async () => {
    const { run, sentAt } = await calling([{ status: 500, afterMs: 30 }, { hang: true }, { status: 200 }])
    expect(await run("GET", { strategy: hedged })).toMatchObject({ status: 200, at: 130 })
    expect(sentAt()).toEqual([0, 30, 130])
  })

  it("does not bring it forward while another may still be accepted", async () => {
    const { run, sentAt } = await calling([{ afterMs: 150, status: 200 }, { status: 500, afterMs: 10 }, { hang: true }])
    expect(await run("GET", { strategy: hedged })).toMatchObject({ status: 200, at: 150 })
    expect(sentAt()).toEqual([0, 100])
  })

  it("waits for what is under way after the last attempt", async () => {
    const { run, transport } = await calling([{ afterMs: 5000 }, { status: 500 }, { status: 503 }])
    expect(await run("GET", { strategy: hedged })).toMatchObject({ status: 200, at: 5000 })
    expect(transport.discarded).toBe(2)
  })

  it("ends with the last answer when all are rejected", async () => {
    const { run, transport } = await calling([{ status: 500, afterMs: 250 }, { status: 502, afterMs: 10 }, { fail: "reset" }])
    expect(await run("GET", { strategy: hedged })).toMatchObject({ status: 500, at: 250 })
    expect(transport.discarded).toBe(1)
  })

  it("starts nothing whose delay ends after the deadline", async () => {
    const { run, sentAt } = await calling([{ hang: true }])
    expect(await run("GET", { strategy: hedged, timeoutMs: 104 })).toEqual({ code: "deadline_exceeded", at: 104 })
    expect(sentAt()).toEqual([0])
    const enough = await calling([{ hang: true }])
    await enough.run("GET", { strategy: hedged, timeoutMs: 105 })
    expect(enough.sentAt()).toEqual([0, 100])
    expect(enough.transport.sent.map((sent) => sent.headers["x-request-timeout"])).toEqual(["0.10500", "0.00500"])
  })

  it("leaves a server alone for as long as it asks", async () => {
    const { run, sentAt } = await calling([{ status: 503, headers: { "retry-after": "1" } }, { status: 200 }])
    expect(await run("GET", { strategy: hedged })).toMatchObject({ status: 200 })
    expect(sentAt()).toEqual([0, 1000])
  })

  it("aborts everything at once when the caller gives up", async () => {
    const { client, clock, pool, sentAt } = await calling([{ hang: true }])
    const controller = new AbortController()
    const ended = expect(client.get("/x", { strategy: hedged, signal: controller.signal })).rejects.toMatchObject({ code: "aborted" })
    await clock.advance(150)
    controller.abort()
    await clock.advance(10_000)
    await ended
    expect(sentAt()).toEqual([0, 100])
    expect(pool.candidates().map((candidate) => candidate.endpoint.inFlight)).toEqual([0, 0, 0, 0])
    expect(clock.pendingTimers).toBe(0)
  })
})

describe("untilDeadline", () => {
  it("repeats until accepted", async () => {
    const steps = [{ status: 500 }, { status: 500 }, { status: 500 }, { status: 500 }, { status: 200 }]
    const { run, sentAt } = await calling(steps)
    const strategy = untilDeadline(sequential({ attempts: 2, delay: constantDelay(10) }), { delay: constantDelay(100) })
    expect(await run("GET", { strategy })).toMatchObject({ status: 200, attempts: 5 })
    expect(sentAt()).toEqual([0, 10, 110, 120, 220])
  })

  it("ends with the last answer when time runs out", async () => {
    const { run, sentAt } = await calling([{ status: 500 }], { retryBudget: false })
    const strategy = untilDeadline(sequential({ attempts: 1 }), { delay: constantDelay(400) })
    expect(await run("GET", { strategy, timeoutMs: 1000 })).toEqual({ status: 500, attempts: 3, at: 800 })
    expect(sentAt()).toEqual([0, 400, 800])
  })
})

describe("retry budget", () => {
  it.each([
    ["retries under 20 %", sequential({ delay: constantDelay(0) }), { status: 500 }, 1200, 1],
    ["hedges under 5 %", parallel({ attempts: 2, delay: constantDelay(1) }), { afterMs: 3 }, 1050, 4],
  ])("keeps %s of 1,000 calls", async (_title, strategy, step, most, least) => {
    const { client, clock, transport } = await calling([step])
    for (let call = 0; call < 1000; call++) {
      const ended = client.get("/x", { strategy })
      await clock.advance(10)
      await ended
    }
    expect(transport.sent.length).toBeLessThanOrEqual(most)
    expect(transport.sent.length).toBeGreaterThan(1000 + (most - 1000) * 0.9 - least)
  })

  it("lets the outcome stand when it is empty, and free connections go on", async () => {
    const empty = retryBudget({ capacity: 0 })
    const rejected = await calling([{ status: 500 }], { retryBudget: empty })
    expect(await rejected.run("GET")).toMatchObject({ status: 500, attempts: 1 })
    const refused = await calling([{ fail: "refused" }, { fail: "refused" }, { status: 200 }], { retryBudget: empty })
    expect(await refused.run("GET")).toMatchObject({ status: 200, attempts: 1 })
  })
})

it("a percentile delay hedges what is slower than most, and learns from the losers", async () => {
  const strategy = parallel({ attempts: 2, delay: percentileDelay({ percentile: 0.9, minMs: 10 }) })
  const steps = [...Array.from({ length: 40 }, (): ScriptStep => ({ afterMs: 100 })), { hang: true }, { status: 200 }]
  const { run, sentAt } = await calling(steps)
  for (let call = 0; call < 40; call++) await run("GET", { strategy }, 200)
  expect(sentAt()).toHaveLength(40)
  await run("GET", { strategy }, 200)
  const [first = 0, second = 0] = sentAt().slice(40)
  expect(second - first).toBeGreaterThan(90)
  expect(second - first).toBeLessThan(115)
})
