import { expect, it } from "vitest"
import { sleep } from "../clock.ts"
import { ManualClock } from "./manual-clock.ts"

it("runs due timers in order, those set meanwhile too", async () => {
  const clock = new ManualClock(1000)
  const seen: string[] = []
  clock.timer(20, () => seen.push(`b ${clock.monotonic()}`))
  clock.timer(10, () => {
    seen.push(`a ${clock.monotonic()}`)
    clock.timer(5, () => seen.push(`c ${clock.monotonic()}`))
  })
  clock.timer(15, () => seen.push("never")).cancel()
  await clock.advance(30)
  expect(seen).toEqual(["a 10", "c 15", "b 20"])
  expect([clock.monotonic(), clock.now(), clock.pendingTimers]).toEqual([30, 1030, 0])
})

it("a sleep ends when its signal aborts and leaves no timer", async () => {
  const clock = new ManualClock()
  const controller = new AbortController()
  const slept = sleep(clock, 1000, controller.signal)
  controller.abort()
  await slept
  expect(clock.pendingTimers).toBe(0)
})
