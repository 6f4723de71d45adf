import { ManualClock } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { LazyTimer } from "./lazy-timer.ts"

function watched() {
  const clock = new ManualClock()
  const reached: [limit: string, at: number][] = []
  const start = clock.monotonic()
  let timers = 0
  const counting = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    timer: (ms: number, callback: () => void) => (timers++, clock.timer(ms, callback)),
  }
  const timer = new LazyTimer<string>(counting, (limit) => reached.push([limit, clock.monotonic() - start]))
  return { clock, timer, reached, timers: () => timers }
}

it("tells the limit that was met, when it was met", async () => {
  const { clock, timer, reached } = watched()
  timer.set(50, "connect")
  await clock.advance(49)
  expect(reached).toEqual([])
  await clock.advance(1)
  expect(reached).toEqual([["connect", 50]])
  await clock.advance(1000)
  expect(reached).toHaveLength(1)
})

it("a limit moved later is met then, and the first one is not", async () => {
  const { clock, timer, reached, timers } = watched()
  timer.set(50, "connect")
  await clock.advance(20)
  timer.set(100, "answer")
  timer.set(200, "idle")
  expect(timers()).toBe(1)
  await clock.advance(199)
  expect(reached).toEqual([])
  await clock.advance(1)
  expect(reached).toEqual([["idle", 220]])
  expect(timers()).toBe(2)
})

it("a limit moved earlier is met earlier, once", async () => {
  const { clock, timer, reached } = watched()
  timer.set(500, "idle")
  timer.set(30, "connect")
  await clock.advance(1000)
  expect(reached).toEqual([["connect", 30]])
})

it("is never met once cancelled, and can be set again", async () => {
  const { clock, timer, reached } = watched()
  timer.set(10, "a")
  timer.cancel()
  await clock.advance(100)
  expect(reached).toEqual([])
  timer.set(10, "b")
  await clock.advance(10)
  expect(reached).toEqual([["b", 110]])
})
