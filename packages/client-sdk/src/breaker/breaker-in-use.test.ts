import { ManualClock } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { createClient } from "../client/fixed-endpoint.ts"
import type { Response } from "../client/response.ts"
import { constantDelay } from "../delays/delay.ts"
import { createPool } from "../pool/create-pool.ts"
import { createStaticSource } from "../sources/static-source.ts"
import { sequential, single } from "../strategies/strategy.ts"
import { fakeInstance } from "../testing/fake-instance.ts"
import { fakeMesh, ScriptedTransport } from "../testing/index.ts"
import { circuitBreaker } from "./circuit-breaker.ts"

const breaker = circuitBreaker({ breakMs: 1000, samplingMs: 1000, minimumThroughput: 2, failureThreshold: 0.5 })

async function pooled(ports: number[]) {
  const clock = new ManualClock()
  const source = createStaticSource("test")
  source.set(
    "a",
    ports.map((port) => fakeInstance("a", port)),
    0,
  )
  const pool = createPool({ service: "a", source, circuitBreaker: breaker, clock, random: () => 0 })
  await pool.ready()
  const fail = (port: number): void => {
    const exclude = new Set(ports.filter((each) => each !== port).map((each) => `127.0.0.1:${each}`))
    pool.pick({ exclude })?.done({ result: "failure" })
  }
  const picked = (): string[] => {
    const seen = new Set<string>()
    for (let n = 0; n < 20; n++) {
      const pick = pool.pick({ exclude: seen })
      if (pick === undefined) break
      seen.add(pick.endpoint.address)
      pick.done({ result: "aborted" })
    }
    return [...seen].sort()
  }
  return { clock, source, pool, fail, picked }
}

it("what one breaker refuses goes to another instance", async () => {
  const { pool, fail, picked } = await pooled([1, 2])
  for (let n = 0; n < 2; n++) fail(1)
  expect(picked()).toEqual(["127.0.0.1:2"])
  expect(pool.candidates().map(({ breaker: state, eligible }) => [state, eligible])).toEqual([
    ["open", false],
    ["closed", true],
  ])
})

it("nothing is picked when all refuse, and a probe once their time is over", async () => {
  const { clock, pool, fail } = await pooled([1, 2])
  for (const port of [1, 1, 2, 2]) fail(port)
  expect(pool.pick()).toBeUndefined()
  await clock.advance(1000)
  const probes = [pool.pick(), pool.pick(), pool.pick()]
  expect(probes.map((probe) => probe?.endpoint.address).sort()).toEqual(["127.0.0.1:1", "127.0.0.1:2", undefined])
})

it("another process at the same address, or one that serves again, begins with a closed breaker", async () => {
  const { source, fail, picked } = await pooled([1])
  for (let n = 0; n < 2; n++) fail(1)
  expect(picked()).toEqual([])
  source.set("a", [{ ...fakeInstance("a", 1), boot: "next" }], 1)
  await expect.poll(picked).toEqual(["127.0.0.1:1"])
  for (let n = 0; n < 2; n++) fail(1)
  source.set("a", [{ ...fakeInstance("a", 1), boot: "next", standing: "out" }], 2)
  await expect.poll(picked).toEqual([])
  source.set("a", [{ ...fakeInstance("a", 1), boot: "next", standing: "serving" }], 3)
  await expect.poll(picked).toEqual(["127.0.0.1:1"])
})

/** What a call ends with, after the few milliseconds a scripted answer takes. */
async function settled(clock: ManualClock, call: Promise<Response>): Promise<unknown> {
  const end = call.catch((error: unknown) => error)
  await clock.advance(1)
  return end
}

it("a call that every breaker refuses ends in circuit_open at once, without a byte on the wire and without a retry", async () => {
  const clock = new ManualClock()
  const mesh = fakeMesh({ services: { a: [{ status: 500 }] }, instances: 2, clock })
  const client = mesh.client("a", { circuitBreaker: breaker, strategy: single() })
  for (let n = 0; n < 4; n++) expect(await settled(clock, client.get("/"))).toMatchObject({ status: 500 })
  expect(await settled(clock, client.get("/"))).toMatchObject({ code: "circuit_open", status: 502 })
  expect(mesh.transport("a").sent).toHaveLength(4)
  await clock.advance(1000)
  expect(await settled(clock, client.get("/"))).toMatchObject({ status: 500 })
  await mesh.close()
})

it("the last answer counts where the breaker opens between two attempts", async () => {
  const clock = new ManualClock()
  const mesh = fakeMesh({ services: { a: [{ status: 503, body: "busy" }] }, instances: 1, clock })
  const client = mesh.client("a", { circuitBreaker: breaker, strategy: sequential({ attempts: 5, delay: constantDelay(0) }) })
  const response = (await settled(clock, client.get("/"))) as Response
  expect([response.status, await response.text(), response.attempts]).toEqual([503, "busy", 2])
  await mesh.close()
})

it("a deadline that leaves no time counts neither way", async () => {
  const clock = new ManualClock()
  const mesh = fakeMesh({ services: { a: [{ status: 200 }] }, instances: 1, clock })
  const client = mesh.client("a", { circuitBreaker: breaker })
  for (let n = 0; n < 10; n++) expect(await settled(clock, client.get("/", { timeoutMs: 4 }))).toMatchObject({ code: "deadline_exceeded" })
  expect(await settled(clock, client.get("/"))).toMatchObject({ status: 200 })
  await mesh.close()
})

it("a fixed endpoint has a breaker per origin where one is asked for, and none otherwise", async () => {
  const clock = new ManualClock()
  const transport = new ScriptedTransport(clock, [{ fail: "refused" }])
  let endpoint = "http://127.0.0.1:1/"
  const options = { endpoint: () => endpoint, transport, clock, strategy: single(), connectionAttempts: 1 }
  const guarded = createClient({ ...options, circuitBreaker: breaker })
  for (let n = 0; n < 2; n++) expect(await settled(clock, guarded.get("/"))).toMatchObject({ code: "connection_failed" })
  expect(await settled(clock, guarded.get("/"))).toMatchObject({ code: "circuit_open" })
  endpoint = "http://127.0.0.1:2/"
  expect(await settled(clock, guarded.get("/"))).toMatchObject({ code: "connection_failed" })
  endpoint = "http://127.0.0.1:1/"
  expect(await settled(clock, guarded.get("/"))).toMatchObject({ code: "circuit_open" })
  const plain = createClient(options)
  for (let n = 0; n < 10; n++) expect(await settled(clock, plain.get("/"))).toMatchObject({ code: "connection_failed" })
})
