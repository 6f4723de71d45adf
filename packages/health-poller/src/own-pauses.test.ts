import { ManualClock } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { OwnPauses } from "./own-pauses.ts"

function looking() {
  const clock = new ManualClock()
  const pulses: number[] = []
  const pauses = new OwnPauses(clock, (now) => pulses.push(now))
  pauses.begin()
  return { clock, pauses, pulses }
}

it("beats ten times a second, and sees no pause in that", async () => {
  const { clock, pauses, pulses } = looking()
  pauses.begin()
  await clock.advance(1000)
  expect(pulses).toHaveLength(10)
  expect(pauses.since(0)).toBe(false)
})

it("sees a pause once it is over, also before its own timer runs", async () => {
  const { clock, pauses } = looking()
  await clock.advance(300)
  clock.pause(30_000)
  expect(pauses.since(300)).toBe(true)
  await clock.advance(500)
  expect([pauses.since(300), pauses.since(30_301)]).toEqual([true, false])
})

it("leaves what does not outlast the slack alone", async () => {
  const { clock, pauses } = looking()
  clock.pause(600)
  await clock.advance(250)
  expect(pauses.since(0)).toBe(false)
})

it("looks no more after its end, and what happened meanwhile is no pause", async () => {
  const { clock, pauses } = looking()
  pauses.end()
  expect(clock.pendingTimers).toBe(0)
  await clock.advance(60_000)
  pauses.begin()
  expect(pauses.since(0)).toBe(false)
})
