import type { Clock, Timer } from "@meshwork/contract"
import { expect, it } from "vitest"
import { LoadShedder, nextLevel, priorityOf, type RequestPriority } from "./load-shedder.ts"

/** A clock whose timers fire late, as they do when the event loop has too much to do. */
class LateClock implements Clock {
  lagMs = 0
  busy = 0
  #at = 0
  #timers: { at: number; callback: () => void }[] = []

  now(): number {
    return this.#at
  }

  monotonic(): number {
    return this.#at
  }

  timer(ms: number, callback: () => void): Timer {
    const entry = { at: this.#at + ms, callback }
    this.#timers.push(entry)
    const timer: Timer = { cancel: () => void this.#timers.splice(this.#timers.indexOf(entry), 1), unref: () => timer }
    return timer
  }

  /** Fires everything that is due, late. */
  turn(): void {
    this.#at += 20 + this.lagMs
    for (const { callback } of this.#timers.splice(0)) callback()
  }

  get pending(): number {
    return this.#timers.length
  }
}

function loaded(maxInFlight: number, maxLagMs = 20) {
  const clock = new LateClock()
  const shedder = new LoadShedder({ clock, maxInFlight, maxLagMs, utilisation: () => clock.busy })
  const refusal = (priority: RequestPriority) => (shedder.underPressure() ? shedder.refuses(priority) : undefined)
  const passing = (priority: RequestPriority, of = 100): number => {
    let count = 0
    for (let index = 0; index < of; index++) if (refusal(priority) === undefined) count++
    return count
  }
  const turns = (count: number): void => {
    for (let index = 0; index < count; index++) {
      passing("high", 1)
      clock.turn()
    }
  }
  return { clock, shedder, refusal, passing, turns }
}

it.each([
  [{ inFlight: 74 }, ["low", "normal", "high"]],
  [{ inFlight: 75 }, ["normal", "high"]],
  [{ inFlight: 99 }, ["normal", "high"]],
  [{ inFlight: 100 }, ["high"]],
  [{ inFlight: 199 }, ["high"]],
  [{ inFlight: 200 }, []],
])("of at most 100 requests in flight, with %o only %j passes", ({ inFlight }, expected) => {
  const { shedder, passing } = loaded(100)
  shedder.inFlight = inFlight
  expect((["low", "normal", "high"] as const).filter((priority) => passing(priority, 1) === 1)).toEqual(expected)
})

it("a limit of one lets one request of any class through", () => {
  const { passing } = loaded(1)
  expect([passing("low", 1), passing("normal", 1), passing("high", 1)]).toEqual([1, 1, 1])
})

it("requests need to be asked for their priority only under pressure", () => {
  const { shedder } = loaded(10)
  shedder.inFlight = 7
  expect(shedder.underPressure()).toBe(false)
  shedder.inFlight = 8
  expect(shedder.underPressure()).toBe(true)
})

it("refuses low requests while the event loop lags, no other ones, and lets them in again within a quarter of a second", () => {
  const { clock, passing, turns, shedder } = loaded(1000)
  turns(3)
  expect(passing("low")).toBe(100)
  clock.lagMs = 60
  turns(14)
  expect([passing("low"), passing("normal"), passing("high")]).toEqual([0, 100, 100])
  expect(shedder.refused).toEqual({ low: 100, normal: 0, high: 0 })
  clock.lagMs = 0
  turns(5)
  const half = passing("low")
  expect(half).toBeGreaterThan(30)
  expect(half).toBeLessThan(70)
  turns(6)
  expect(passing("low")).toBe(100)
})

it("refuses low requests while the loop never rests, until it does", () => {
  const { clock, passing, turns } = loaded(1000)
  clock.busy = 1
  turns(14)
  expect([passing("low"), passing("normal"), passing("high")]).toEqual([0, 100, 100])
  turns(50)
  expect(passing("normal")).toBe(100)
  clock.busy = 0.95
  turns(10)
  expect(passing("low")).toBe(0)
  clock.busy = 0.9
  turns(25)
  expect(passing("low")).toBe(50)
  clock.busy = 0.2
  turns(5)
  expect(passing("low")).toBe(100)
})

it("who is refused for the lag hears of it with the next look at the loop, who finds no room at once", () => {
  const { clock, shedder, refusal, turns } = loaded(1)
  clock.busy = 1
  turns(14)
  let said = 0
  refusal("low")?.say(() => said++)
  expect(said).toBe(0)
  clock.turn()
  expect(said).toBe(1)
  refusal("low")?.say(() => said++)
  shedder.close()
  expect(said).toBe(2)
  shedder.inFlight = 2
  refusal("normal")?.say(() => said++)
  expect(said).toBe(3)
})

it("refuses normal requests only at ten times the lag, a tenth of them never, and high ones not at all", () => {
  const { clock, passing, turns } = loaded(1000)
  clock.lagMs = 500
  turns(30)
  expect([passing("low"), passing("high")]).toEqual([0, 100])
  const normal = passing("normal", 1000)
  expect(normal).toBeGreaterThanOrEqual(99)
  expect(normal).toBeLessThanOrEqual(101)
})

it("one late turn of the loop refuses nobody", () => {
  const { clock, passing, turns } = loaded(1000)
  turns(5)
  clock.lagMs = 400
  turns(1)
  clock.lagMs = 0
  turns(1)
  expect(passing("low")).toBe(100)
})

it("looks at the loop only while requests come, and finds nobody guilty of what was before", () => {
  const { clock, passing, turns } = loaded(1000)
  expect(clock.pending).toBe(0)
  clock.lagMs = 60
  turns(14)
  expect(passing("low")).toBe(0)
  clock.lagMs = 0
  clock.turn()
  clock.turn()
  expect(clock.pending).toBe(0)
  expect(passing("low")).toBe(100)
})

it("a limit of 0 ms switches the lag off, and closing ends looking", () => {
  const off = loaded(1000, 0)
  off.passing("low", 1)
  expect(off.clock.pending).toBe(0)
  const { clock, shedder, passing } = loaded(1000)
  passing("low", 1)
  shedder.close()
  clock.turn()
  expect(clock.pending).toBe(0)
})

it("other limits count at once", () => {
  const { shedder, passing } = loaded(10)
  shedder.inFlight = 10
  expect(passing("normal", 1)).toBe(0)
  shedder.limit({ maxInFlight: 20, maxLagMs: 20 })
  expect(passing("normal", 1)).toBe(1)
})

it.each([
  { from: 0, lags: [21, 30, 25], to: 0.1 },
  { from: 0, lags: [19, 500, 500], to: 0 },
  { from: 0.95, lags: [300, 300, 300], to: 1 },
  { from: 1, lags: [150, 150, 150], to: 1 },
  { from: 1, lags: [201, 201, 201], to: 1.1 },
  { from: 1.85, lags: [900, 900, 900], to: 1.9 },
  { from: 1.5, lags: [900, 900, 199], to: 1.4 },
  { from: 1.05, lags: [0, 0, 0], to: 1 },
  { from: 1, lags: [0, 0, 0], to: 0.9 },
  { from: 0.5, lags: [0, 0, 15], to: 0.5 },
  { from: 0.05, lags: [0, 0, 9], to: 0 },
])("with a limit of 20 ms the level goes from $from to $to after lags of $lags", ({ from, lags, to }) => {
  const samples = lags.map((lagMs) => ({ lagMs, busy: 0 }))
  expect(nextLevel(from, samples, 20)).toBeCloseTo(to, 6)
})

it.each([
  [["X-Request-Priority", "LOW"], "low"],
  [["Accept", "x", "x-request-priority", " High "], "high"],
  [["X-Request-Priority", "urgent"], "normal"],
  [["X-Request-Priority", "urgent", "X-Request-Priority", "low"], "low"],
  [[], "normal"],
] as const)("headers %j make a request of class %s", (headers, priority) => {
  expect(priorityOf(headers)).toBe(priority)
})
