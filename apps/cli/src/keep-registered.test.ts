import { MeshError } from "@meshwork/contract"
import { ManualClock, settle } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { keepRegistered } from "./keep-registered.ts"
import { fakeContext } from "./testing/fake-context.ts"

function start(put: () => Promise<void>) {
  const clock = new ManualClock()
  const context = fakeContext({ clock })
  const stop = new AbortController()
  const calls: number[] = []
  let removed = 0
  const kept = {
    what: "a (http)",
    everyMs: 10_000,
    put: () => (calls.push(clock.monotonic()), put()),
    remove: async () => void removed++,
  }
  const ended = keepRegistered(context, kept, stop.signal)
  return { clock, context, stop, calls, ended, removed: () => removed }
}

it("writes once per period, and removes at the end", async () => {
  const { clock, stop, calls, ended, removed, context } = start(async () => {})
  const begun = clock.monotonic()
  await settle()
  expect(calls).toEqual([])
  await clock.advance(30_000)
  expect(calls.map((at) => at - begun)).toEqual([10_000, 20_000, 30_000])
  stop.abort()
  await ended
  expect([removed(), context.written.stderr]).toEqual([1, ""])
})

it("tries an outage again with growing pauses, and speaks of its beginning and end only", async () => {
  let down = true
  const { clock, stop, calls, ended, context } = start(async () => {
    if (down) throw new MeshError("connection_failed", "no etcd at h:1: ECONNREFUSED")
  })
  const begun = clock.monotonic()
  await clock.advance(10_000 + 250 + 500 + 1000 + 2000 + 4000 + 5000 + 5000)
  expect(calls.map((at) => at - begun)).toEqual([10_000, 10_250, 10_750, 11_750, 13_750, 17_750, 22_750, 27_750])
  down = false
  await clock.advance(5000)
  await clock.advance(10_000)
  expect(calls.slice(8).map((at) => at - begun)).toEqual([32_750, 42_750])
  expect(context.written.stderr).toBe("meshwork: no etcd at h:1: ECONNREFUSED; trying again until it is back\nservice a (http) registered again\n")
  stop.abort()
  await ended
})

it("gives up where trying again cannot help", async () => {
  const { clock, ended, removed } = start(async () => {
    throw new MeshError("unauthorized", "the token is not one of this server's")
  })
  const refused = expect(ended).rejects.toMatchObject({ code: "unauthorized" })
  await clock.advance(10_000)
  await refused
  expect(removed()).toBe(0)
})
