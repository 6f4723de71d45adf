import { Readable } from "node:stream"
import { MeshError, sleep } from "@meshwork/contract"
import { ManualClock, seededRandom } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { type BalancerFactory, p2c, random } from "../balancers/index.ts"
import { retryBudget } from "../budget/retry-budget.ts"
import { constantDelay } from "../delays/delay.ts"
import { percentileDelay } from "../delays/percentile-delay.ts"
import { createPool } from "../pool/create-pool.ts"
import { createStaticSource } from "../sources/static-source.ts"
import { parallel, sequential, single, type Strategy } from "../strategies/strategy.ts"
import { fakeInstance } from "../testing/fake-instance.ts"
import { createClientForPool } from "./client.ts"
import type { Transport } from "./transport.ts"
import { ReceivedHeaders } from "./wire-headers.ts"

/** Five instances that answer after a time of their own; counts what is sent. */
async function fleet(
  answerMs: (port: number, at: number) => number,
  strategy: Strategy,
  { status = 200, balancer = random }: { status?: number; balancer?: BalancerFactory } = {},
) {
  const clock = new ManualClock()
  const source = createStaticSource("test")
  source.set(
    "a",
    [1, 2, 3, 4, 5].map((port) => fakeInstance("a", port)),
    0,
  )
  const pool = createPool({ service: "a", source, balancer, clock, random: seededRandom(3) })
  await pool.ready()
  let sent = 0
  const transport: Transport = {
    async send({ endpoint, signal }) {
      sent++
      await sleep(clock, answerMs(Number(new URL(endpoint.origin).port), clock.monotonic()), signal)
      if (signal?.aborted) throw new MeshError("aborted", "given up")
      const bytes = Buffer.alloc(0)
      return {
        status,
        headers: new ReceivedHeaders([]),
        complete: true,
        body: Readable.from([]),
        bytes: () => Promise.resolve(bytes),
        discard: () => {},
      }
    },
    close: () => Promise.resolve(),
  }
  const client = createClientForPool({ clock, random: seededRandom(4), transport, strategy, retryBudget: retryBudget(), pool })
  /** Makes a call every `everyMs` and tells how long each took, sorted. */
  const run = async (calls: number, everyMs: number): Promise<number[]> => {
    const times: number[] = []
    const all: Promise<unknown>[] = []
    for (let n = 0; n < calls; n++) {
      const begin = clock.monotonic()
      all.push(client.get("/x").then(() => times.push(clock.monotonic() - begin)))
      await clock.advance(everyMs)
    }
    await clock.advance(60_000)
    await Promise.all(all)
    return times.sort((a, b) => a - b)
  }
  return { run, sent: () => sent }
}

const percentile = (times: readonly number[], share: number): number => times[Math.ceil(share * times.length) - 1] ?? Number.NaN

it("one slow instance of five, p2c and hedged within the budget: the 99th percentile is near that of the four good ones", async () => {
  const chance = seededRandom(9)
  const answerMs = (port: number): number => (port === 5 ? 1000 : 10 + 10 * chance())
  const delay = percentileDelay({ minMs: 20, maxMs: 200 })
  const plain = await (await fleet(answerMs, single(), { balancer: random })).run(1000, 20)
  expect(percentile(plain, 0.99)).toBe(1000)
  const { run, sent } = await fleet(answerMs, parallel({ attempts: 2, delay }), { balancer: p2c })
  await run(200, 20)
  const before = sent()
  const times = await run(1000, 20)
  expect(percentile(times, 0.99)).toBeLessThan(60)
  expect(sent() - before).toBeLessThanOrEqual(1050)
})

it("all instances suddenly slow: hedges add at most 5 % to 1,000 calls", async () => {
  const { run, sent } = await fleet((_, at) => (at < 4000 ? 10 : 2000), parallel({ attempts: 3, delay: percentileDelay({ minMs: 20, maxMs: 100 }) }))
  await run(200, 20)
  const before = sent()
  await run(1000, 20)
  expect(sent() - before).toBeGreaterThan(1000)
  expect(sent() - before).toBeLessThanOrEqual(1050)
})

it("all instances failing: retries add at most 20 % to 1,000 calls", async () => {
  const { run, sent } = await fleet(() => 5, sequential({ attempts: 3, delay: constantDelay(10) }), { status: 500 })
  await run(1000, 20)
  expect(sent()).toBeGreaterThan(1100)
  expect(sent()).toBeLessThanOrEqual(1200)
})
