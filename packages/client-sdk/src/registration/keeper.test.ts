import { MeshError } from "@meshwork/contract"
import { ManualClock, settle } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import type { DiscoveryApi } from "../discovery-api/index.ts"
import { LoadMeter } from "../server/load-meter.ts"
import { RegistrationKeeper } from "./keeper.ts"
import type { RegisterOptions } from "./registration-options.ts"

type Call = { at: number; name: string; parts: { body?: { boot?: string; state?: string }; query?: { boot?: string } } }

/** A keeper over a registry that answers as `answer` says: nothing, or an error to reject with. */
function keeping(options: Partial<RegisterOptions> = {}, answer: (name: string, count: number) => MeshError | undefined = () => undefined) {
  const clock = new ManualClock()
  const calls: Call[] = []
  const said: string[] = []
  const api: DiscoveryApi = {
    call: ((name: string, parts: Call["parts"]) => {
      calls.push({ at: clock.monotonic(), name, parts })
      const error = answer(name, calls.filter((call) => call.name === name).length)
      return error ? Promise.reject(error) : Promise.resolve({ status: 200, body: {} })
    }) as DiscoveryApi["call"],
  }
  const register = { service: "a", host: "127.0.0.1", port: 1, ttlSeconds: 30, ...options }
  const keeper = new RegistrationKeeper(register, {
    api,
    clock,
    random: () => 0.5,
    boot: "b",
    load: new LoadMeter(),
    log: (_level, message) => said.push(message),
  })
  const names = () => calls.map((call) => call.name)
  return { clock, calls, said, keeper, names }
}

const away = () => new MeshError("connection_failed", "no discovery server at http://a")

it("registers, then sends a heartbeat every third of the ttl with its boot", async () => {
  const { keeper, clock, calls } = keeping()
  await keeper.start()
  expect(keeper.state).toBe("registered")
  await clock.advance(30_000)
  expect(calls.map((call) => [call.name, call.at])).toEqual([
    ["register", 0],
    ["heartbeat", 10_000],
    ["heartbeat", 20_000],
    ["heartbeat", 30_000],
  ])
  expect(calls.every((call) => call.parts.body?.boot === "b")).toBe(true)
})

it("sends no heartbeat for a lease without end", async () => {
  const { keeper, clock, names } = keeping({ ttlSeconds: 0 })
  await keeper.start()
  await clock.advance(100_000)
  expect(names()).toEqual(["register"])
})

it("registers again at once when the registry has forgotten it", async () => {
  const { keeper, clock, calls } = keeping({}, (name, count) =>
    name === "heartbeat" && count === 1 ? new MeshError("not_found", "unknown") : undefined,
  )
  await keeper.start()
  await clock.advance(10_300)
  expect(calls.map((call) => [call.name, call.at])).toEqual([
    ["register", 0],
    ["heartbeat", 10_000],
    ["register", 10_150],
  ])
})

it("goes on trying while nobody answers, says so once, and is registered when somebody does", async () => {
  let up = false
  const { keeper, clock, said, names } = keeping({}, () => (up ? undefined : away()))
  const started = keeper.start()
  await clock.advance(5000)
  await started
  expect([keeper.state, said.length]).toEqual(["retrying", 1])
  up = true
  await clock.advance(5000)
  expect([keeper.state, said.length]).toEqual(["registered", 2])
  expect(names().length).toBeLessThan(12)
})

it("survives an outage in the middle without being lost", async () => {
  let up = true
  const { keeper, clock, names } = keeping({}, () => (up ? undefined : away()))
  await keeper.start()
  up = false
  await clock.advance(60_000)
  up = true
  await clock.advance(6000)
  expect([keeper.state, names().at(-1)]).toEqual(["registered", "register"])
  await clock.advance(11_000)
  expect(names().at(-1)).toBe("heartbeat")
})

it("rejects when it is refused", async () => {
  const { keeper } = keeping({}, () => new MeshError("unauthorized", "the token is missing"))
  await expect(keeper.start()).rejects.toMatchObject({ code: "unauthorized" })
})

it("drains, waits, closes its server and deregisters, each once", async () => {
  const order: string[] = []
  const server = { close: (done?: (error?: Error) => void) => (order.push("close"), done?.()), closeIdleConnections: () => order.push("idle") }
  const { keeper, clock, calls } = keeping({ server })
  await keeper.start()
  const closing = [keeper.close(), keeper.close()]
  await clock.advance(999)
  expect([keeper.state, order]).toEqual(["draining", []])
  await clock.advance(1)
  await Promise.all(closing)
  expect(calls.map((call) => [call.name, call.parts.query?.boot ?? null, call.parts.body?.state ?? null])).toEqual([
    ["register", null, null],
    ["patchInstance", "b", "draining"],
    ["deregister", "b", null],
  ])
  expect([keeper.state, order]).toEqual(["closed", ["close", "idle"]])
  await clock.advance(60_000)
  await settle()
  expect([calls.length, clock.pendingTimers]).toEqual([3, 0])
})

it("a registry that is away does not keep it from ending", async () => {
  let up = true
  const { keeper, clock, said } = keeping({}, () => (up ? undefined : away()))
  await keeper.start()
  up = false
  const closed = keeper.close()
  await clock.advance(1000)
  await closed
  expect(said.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual(["could not say", "could not deregister"])
})
