import { ManualClock } from "@meshwork/contract/testing"
import { describe, expect, it } from "vitest"
import { roundRobin } from "../balancers/index.ts"
import { runInContext } from "../context.ts"
import { Deadline, split } from "../deadline.ts"
import { constantDelay, linearBackoff } from "../delays/delay.ts"
import { createPool } from "../pool/create-pool.ts"
import { createStaticSource } from "../sources/static-source.ts"
import { sequential, single } from "../strategies/strategy.ts"
import { fakeInstance, ScriptedTransport, type ScriptStep } from "../testing/index.ts"
import { createClientForPool } from "./client.ts"
import type { CallOptions, ClientOptions } from "./client-options.ts"
import { requestTarget } from "./request-target.ts"
import { retryAfterMs } from "./retry-after.ts"

async function calling(steps: ScriptStep[], ports = [1, 2, 3], options: ClientOptions = {}) {
  const clock = new ManualClock()
  const transport = new ScriptedTransport(clock, steps)
  const source = createStaticSource("test")
  source.set(
    "a",
    ports.map((port) => fakeInstance("a", port)),
    0,
  )
  const pool = createPool({ service: "a", source, balancer: roundRobin, clock })
  await pool.ready()
  const client = createClientForPool({ clock, random: () => 0.5, transport, ...options, pool })
  /** Makes a call and lets 100 s pass; tells how it ended. */
  const run = async (method: string, call: CallOptions = {}) => {
    const settled = client.request(method, "/x", call).then(
      (response) => ({ status: response.status, attempts: response.attempts, endpoint: response.endpoint, response }),
      (error: { code: string }) => ({ code: error.code }),
    )
    await clock.advance(100_000)
    return settled
  }
  return { clock, transport, run, source, client, pool }
}

const noWait = sequential({ delay: constantDelay(0) })

describe("sequential", () => {
  it("tries another instance after a rejected answer and waits between", async () => {
    const { run, transport } = await calling([{ status: 500 }, { status: 503, afterMs: 10 }, { status: 200 }])
    expect(await run("GET")).toMatchObject({ status: 200, attempts: 3 })
    expect(transport.sent.map((sent) => sent.at)).toEqual([0, 50, 160])
    expect(new Set(transport.sent.map((sent) => sent.address)).size).toBe(3)
    expect(transport.sent.map((sent) => sent.headers["x-request-attempt"])).toEqual(["1", "2", "3"])
    expect(transport.discarded).toBe(2)
  })

  it("tells every attempt what is left in seconds", async () => {
    const { run, transport } = await calling([{ status: 500 }, { status: 500 }, { status: 200 }])
    await run("GET", { timeoutMs: 5000 })
    expect(transport.sent.map((sent) => sent.headers["x-request-timeout"])).toEqual(["5.00000", "4.95000", "4.85000"])
  })

  it("ends with the last answer when all are rejected", async () => {
    const { run, transport } = await calling([{ status: 500 }, { status: 502 }, { status: 503, body: "busy" }])
    expect(await run("GET")).toMatchObject({ status: 503, attempts: 3 })
    expect(transport.sent).toHaveLength(3)
  })

  it("prefers an answer over a later error", async () => {
    const { run } = await calling([{ status: 500 }, { fail: "reset" }, { fail: "reset" }])
    expect(await run("GET", { strategy: noWait })).toMatchObject({ status: 500 })
  })

  it("shares the deadline out", async () => {
    const { run, transport } = await calling([{ hang: true }, { hang: true }, { status: 200 }])
    const strategy = sequential({ delay: constantDelay(0), deadline: split() })
    expect(await run("GET", { timeoutMs: 3000, strategy })).toMatchObject({ status: 200 })
    expect(transport.sent.map((sent) => sent.headers["x-request-timeout"])).toEqual(["1.00000", "1.00000", "1.00000"])
  })

  it("does not wait for a time that is not there", async () => {
    const { run, transport, clock } = await calling([{ status: 500 }])
    const begin = clock.monotonic()
    const strategy = sequential({ delay: linearBackoff({ minMs: 900, multiplierMs: 0, jitter: 0 }) })
    expect(await run("GET", { timeoutMs: 1000, strategy })).toMatchObject({ status: 500 })
    expect(transport.sent.map((sent) => sent.at - begin)).toEqual([0, 900])
  })

  it("obeys Retry-After, and stops where it exceeds what is left", async () => {
    const { run, transport } = await calling([{ status: 503, headers: { "retry-after": "2" } }, { status: 200 }])
    expect(await run("GET", { timeoutMs: 5000 })).toMatchObject({ status: 200 })
    expect(transport.sent.map((sent) => sent.at)).toEqual([0, 2000])
    const impatient = await calling([{ status: 503, headers: { "retry-after": "2" } }, { status: 200 }])
    expect(await impatient.run("GET", { timeoutMs: 1000 })).toMatchObject({ status: 503, attempts: 1 })
  })

  it.each([
    [{ status: 500, headers: { "x-do-not-retry": "1" } }, 1],
    [{ status: 404 }, 1],
    [{ status: 408 }, 3],
    [{ status: 429 }, 3],
    [{ status: 599 }, 3],
  ])("%j makes %d attempts", async (step, attempts) => {
    const { run } = await calling([step])
    expect(await run("GET", { strategy: noWait })).toMatchObject({ status: step.status, attempts })
  })

  it("an override of a status beats the header", async () => {
    const { run } = await calling([{ status: 500, headers: { "x-do-not-retry": "1" } }])
    expect(await run("GET", { strategy: noWait, verdictForStatus: { 500: "reject" } })).toMatchObject({ attempts: 3 })
  })
})

describe("by method", () => {
  it.each([
    ["POST", {}, 1],
    ["PUT", {}, 1],
    ["DELETE", {}, 1],
    ["PATCH", {}, 1],
    ["GET", {}, 3],
    ["HEAD", {}, 3],
    ["POST", { idempotent: true }, 3],
    ["POST", { headers: { "Idempotency-Key": "k" } }, 3],
  ])("%s with %j is sent %d times while it is rejected", async (method, call, attempts) => {
    const { run } = await calling([{ status: 500 }])
    expect(await run(method, call)).toMatchObject({ attempts })
  })
})

describe("connections that cannot be made", () => {
  it("are tried elsewhere at once, for every method", async () => {
    const { run, transport } = await calling([{ fail: "refused" }, { fail: "refused" }, { status: 201 }])
    expect(await run("POST")).toMatchObject({ status: 201 })
    expect(transport.sent.map((sent) => sent.at)).toEqual([0, 0, 0])
    expect(new Set(transport.sent.map((sent) => sent.address)).size).toBe(3)
  })

  it("are no attempts: they sent nothing", async () => {
    const { run, transport } = await calling([{ fail: "refused" }, { status: 500 }, { fail: "refused" }, { status: 200 }], [1, 2, 3, 4])
    expect(await run("GET")).toMatchObject({ status: 200, attempts: 2 })
    expect(transport.sent.map((sent) => sent.headers["x-request-attempt"])).toEqual(["1", "1", "2", "2"])
  })

  it("are free three times per call, not per attempt", async () => {
    const { run, transport } = await calling([{ fail: "refused" }], [1, 2, 3, 4, 5, 6])
    expect(await run("GET", { strategy: noWait })).toEqual({ code: "connection_failed" })
    expect(transport.sent).toHaveLength(5)
  })

  it("end the call after three", async () => {
    const { run, transport } = await calling([{ fail: "refused" }], [1, 2, 3, 4])
    expect(await run("POST")).toEqual({ code: "connection_failed" })
    expect(transport.sent).toHaveLength(3)
  })

  it("a reset POST is not sent again", async () => {
    const { run, transport } = await calling([{ fail: "reset" }, { status: 200 }])
    expect(await run("POST")).toEqual({ code: "upstream_reset" })
    expect(transport.sent).toHaveLength(1)
  })
})

describe("time", () => {
  it.each([
    [5, 1],
    [4.999, 0],
    [0, 0],
  ])("with %d ms left %d requests are sent", async (left, sends) => {
    const { run, transport, clock } = await calling([{ hang: true }])
    expect(await run("GET", { deadline: Deadline.after(left, clock), strategy: single() })).toEqual({ code: "deadline_exceeded" })
    expect(transport.sent).toHaveLength(sends)
  })

  it("an inherited deadline limits the call's own", async () => {
    const { run, transport, clock } = await calling([{ status: 200 }])
    await runInContext({ deadline: Deadline.after(700, clock), priority: "high" }, () => run("GET", { timeoutMs: 9000, priority: "low" }))
    expect(transport.sent[0]?.headers).toMatchObject({ "x-request-timeout": "0.70000", "x-request-priority": "normal" })
  })

  it("an abort ends the call in the middle of a back-off", async () => {
    const { client, transport, clock } = await calling([{ status: 500 }])
    const controller = new AbortController()
    const call = client.get("/x", { signal: controller.signal, strategy: sequential({ delay: constantDelay(10_000) }) })
    const ended = expect(call).rejects.toMatchObject({ code: "aborted" })
    await clock.advance(10)
    controller.abort()
    await clock.advance(0)
    await ended
    expect([transport.sent.length, transport.discarded]).toEqual([1, 1])
  })
})

describe("without an instance", () => {
  it("says so at once when the service is known to be empty", async () => {
    const { run } = await calling([{ status: 200 }], [])
    expect(await run("GET")).toEqual({ code: "no_instances" })
  })

  it("waits up to two seconds for the first snapshot", async () => {
    const clock = new ManualClock()
    const source = {
      name: "silent",
      watch: async function* () {
        await new Promise(() => {})
        yield { service: "a", instances: [], at: 0 }
      },
    }
    const client = createClientForPool({ clock, transport: new ScriptedTransport(clock, [{}]), pool: createPool({ service: "a", source, clock }) })
    const ended = expect(client.get("/x", { strategy: single() })).rejects.toMatchObject({ code: "no_instances" })
    await clock.advance(2001)
    await ended
  })
})

it("fills in paths and queries, and refuses what leaves the service", async () => {
  const { client, transport, clock } = await calling([{ status: 200 }])
  const call = client.get("/orders/{id}", { params: { id: "a/b c" }, query: { tag: ["x", "y"], none: undefined, empty: null, n: 1 } })
  await clock.advance(0)
  await call
  expect(transport.sent[0]?.target).toBe("/orders/a%2Fb%20c?tag=x&tag=y&n=1")
  await expect(client.get("http://other/x")).rejects.toMatchObject({ code: "invalid_request" })
  await expect(client.get("//other/x")).rejects.toMatchObject({ code: "invalid_request" })
  await expect(client.get("/{missing}")).rejects.toMatchObject({ code: "invalid_request" })
})

it.each([
  ["/a/{x}/b", { x: ".." }],
  ["/a/{x}{x}", { x: "." }],
  ["{x}/b", { x: "." }],
  ["\\\\other/x", {}],
  ["/\\other/x", {}],
])("a parameter or a backslash does not lead out of the service: %s with %j", async (path, params: Record<string, string>) => {
  const { client, transport } = await calling([{ status: 200 }])
  await expect(client.get(path, { params })).rejects.toMatchObject({ code: "invalid_request" })
  expect(transport.sent).toHaveLength(0)
})

it.each([
  ["orders", "/base/orders"],
  ["/orders", "/orders"],
  ["../orders", "/orders"],
  ["a%2Fb?x=1&y", "/base/a%2Fb?x=1&y"],
  ["/a b/ü", "/a%20b/%C3%BC"],
  ["/a/.hidden/v1.2", "/a/.hidden/v1.2"],
  ["", "/base/"],
])("joins %j to the base path as %j", (path, target) => {
  expect(requestTarget("http://service/base/", path, {})).toBe(target)
})

it("the earliest of all deadlines counts, and emitSystemHeaders: false leaves the headers to the user", async () => {
  const { run, transport, clock } = await calling([{ status: 200 }], [1], { timeoutMs: 900 })
  await run("GET", { deadline: Deadline.after(5000, clock) })
  await run("GET", { deadline: Deadline.after(5000, clock), timeoutMs: 300 })
  await run("GET", { headers: { "X-Request-Timeout": "99", "x-request-priority": "high" } })
  expect(transport.sent.map(({ headers }) => [headers["x-request-timeout"], headers["x-request-priority"]])).toEqual([
    ["5.00000", "normal"],
    ["0.30000", "normal"],
    ["0.90000", "normal"],
  ])
  const bare = await calling([{ status: 200 }], [1], { emitSystemHeaders: false, serviceName: "me" })
  await bare.run("GET", { headers: { "X-Request-Timeout": "99" } })
  expect(bare.transport.sent[0]?.headers).toEqual({ "x-request-timeout": "99", "x-service-name": "me", "x-request-attempt": "1" })
})

it("closing a client leaves the transport it was given to others", async () => {
  const { client, transport, pool } = await calling([{ status: 200 }])
  await client.close()
  expect([transport.closed, pool.pick()]).toEqual([false, undefined])
})

it("a delay that throws ends the call, and nothing else", async () => {
  const { run, transport } = await calling([{ status: 500 }])
  const fault = (): number => {
    throw new Error("broken delay")
  }
  expect(await run("GET", { strategy: sequential({ delay: fault }) })).toEqual({ code: "internal" })
  expect(transport.discarded).toBe(1)
})

it.each([
  ["120", 120_000],
  ["Tue, 14 Nov 2023 22:13:30 GMT", 10_000],
  ["Tue, 14 Nov 2023 22:13:10 GMT", 0],
  ["soon", 0],
  ["-5", 0],
])("Retry-After: %s means %d ms", (value, ms) => {
  const now = Date.parse("Tue, 14 Nov 2023 22:13:20 GMT")
  expect(retryAfterMs({ status: 503, headers: new Headers({ "retry-after": value }) }, now)).toBe(ms)
  expect(retryAfterMs({ status: 500, headers: new Headers({ "retry-after": value }) }, now)).toBe(0)
})

it.each([0, -1, 1.5, Number.NaN])("refuses %d attempts", (attempts) => {
  expect(() => sequential({ attempts })).toThrow(RangeError)
})
