import { describe, expect, it, test } from "vitest"
import { type Breaker, type BreakerState, circuitBreaker, type Passage } from "./circuit-breaker.ts"

const settings = { breakMs: 1000, samplingMs: 1000, minimumThroughput: 4, failureThreshold: 0.5 }

/** One request that ends at once. */
function request(breaker: Breaker, outcome: "success" | "failure" | "aborted", now: number): void {
  breaker.leave(breaker.enter(now), outcome, now)
}

function opened(at = 0, changed?: (state: BreakerState) => void): Breaker {
  const breaker = circuitBreaker(settings)(changed)
  for (let n = 0; n < 4; n++) request(breaker, "failure", at)
  expect(breaker.state(at)).toBe("open")
  return breaker
}

describe("closed", () => {
  test.each([
    { what: "three failures, below the minimum", outcomes: "fff", state: "closed" },
    { what: "four failures", outcomes: "ffff", state: "open" },
    { what: "half of four, the last one a failure", outcomes: "ssff", state: "open" },
    { what: "half of four, the last one a success: judged on failures only", outcomes: "fsfs", state: "closed" },
    { what: "less than half", outcomes: "sssff", state: "closed" },
    { what: "aborts count neither way", outcomes: "faaaff", state: "closed" },
    { what: "aborts do not dilute", outcomes: "aaafaafaafaaf", state: "open" },
  ])("$what: $state", ({ outcomes, state }) => {
    const breaker = circuitBreaker(settings)()
    for (const each of outcomes) request(breaker, each === "f" ? "failure" : each === "s" ? "success" : "aborted", 10)
    expect(breaker.state(10)).toBe(state)
    expect(breaker.permits(10)).toBe(state === "closed")
  })

  it("forgets what lies further back than the sampling time, part by part", () => {
    const breaker = circuitBreaker(settings)()
    for (let n = 0; n < 3; n++) request(breaker, "failure", 50)
    request(breaker, "failure", 1050)
    expect(breaker.state(1050)).toBe("closed")
    for (const at of [1060, 1070]) request(breaker, "failure", at)
    expect(breaker.state(1070)).toBe("closed")
    request(breaker, "failure", 1999)
    expect(breaker.state(1999)).toBe("open")
  })
})

describe("open", () => {
  it("refuses until breakMs have passed; at exactly breakMs one probe goes", () => {
    const breaker = opened(100)
    expect([breaker.permits(1099.9), breaker.state(1099.9)]).toEqual([false, "open"])
    expect([breaker.permits(1100), breaker.state(1100)]).toEqual([true, "half-open"])
    breaker.enter(1100)
    expect(breaker.permits(1100)).toBe(false)
  })

  it("a success that began before it opened does not close it, nor does such a failure prolong it", () => {
    const breaker = circuitBreaker(settings)()
    const early = [breaker.enter(0), breaker.enter(0)] as [Passage, Passage]
    for (let n = 0; n < 4; n++) request(breaker, "failure", 10)
    breaker.leave(early[0], "success", 20)
    expect(breaker.state(20)).toBe("open")
    breaker.leave(early[1], "failure", 900)
    expect(breaker.permits(1010)).toBe(true)
    const probe = breaker.enter(1010)
    expect(probe.probe).toBe(true)
    breaker.leave(early[0], "success", 1011)
    expect(breaker.state(1011)).toBe("half-open")
  })
})

describe("half-open", () => {
  it("a success closes it and forgets the past", () => {
    const breaker = opened()
    breaker.leave(breaker.enter(1000), "success", 1001)
    expect(breaker.state(1001)).toBe("closed")
    for (let n = 0; n < 3; n++) request(breaker, "failure", 1002)
    expect(breaker.state(1002)).toBe("closed")
  })

  it("a failure opens it for breakMs again", () => {
    const breaker = opened()
    breaker.leave(breaker.enter(1000), "failure", 1500)
    expect([breaker.permits(2499), breaker.permits(2500)]).toEqual([false, true])
  })

  it("an aborted probe gives its place back at once", () => {
    const breaker = opened()
    const probe = breaker.enter(1000)
    expect(breaker.permits(1001)).toBe(false)
    breaker.leave(probe, "aborted", 1002)
    expect([breaker.permits(1002), breaker.state(1002)]).toEqual([true, "half-open"])
  })

  it("a probe that hangs gives its place back after breakMs; its late end still counts", () => {
    const breaker = opened()
    const hanging = breaker.enter(1000)
    expect([breaker.permits(1999), breaker.permits(2000)]).toEqual([false, true])
    const second = breaker.enter(2000)
    expect(breaker.permits(2001)).toBe(false)
    breaker.leave(hanging, "success", 2002)
    expect(breaker.state(2002)).toBe("closed")
    breaker.leave(second, "failure", 2003)
    expect(breaker.state(2003)).toBe("closed")
  })
})

it("has no state without an exit: whatever happens, it lets something through within breakMs of its last probe's end", () => {
  let seed = 7
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
  for (let run = 0; run < 200; run++) {
    const breaker = circuitBreaker(settings)()
    const open: Passage[] = []
    let now = 0
    let lastPermitted = 0
    for (let step = 0; step < 500; step++) {
      now += Math.floor(random() * 60)
      if (breaker.permits(now)) {
        lastPermitted = now
        if (random() < 0.7) open.push(breaker.enter(now))
      }
      expect(now - lastPermitted).toBeLessThanOrEqual(2 * settings.breakMs + 120)
      if (open.length > 0 && random() < 0.6) {
        const [passage] = open.splice(Math.floor(random() * open.length), 1)
        const outcome = random() < 0.6 ? "failure" : random() < 0.5 ? "success" : "aborted"
        if (passage) breaker.leave(passage, outcome, now)
      }
    }
  }
})

it("tells of every change of state once", () => {
  const told: BreakerState[] = []
  const breaker = opened(0, (state) => told.push(state))
  breaker.leave(breaker.enter(1000), "failure", 1000)
  breaker.leave(breaker.enter(2000), "success", 2000)
  expect(told).toEqual(["open", "half-open", "open", "half-open", "closed"])
})

test.each([
  { breakMs: 0 },
  { samplingMs: -1 },
  { minimumThroughput: 0 },
  { windows: 0 },
  { windows: 1.5 },
  { breakMs: Number.NaN },
  { failureThreshold: 0 },
  { failureThreshold: 1 },
  { failureThreshold: Number.NaN },
])("%j is a RangeError", (options) => {
  expect(() => circuitBreaker({ ...settings, ...options })).toThrow(RangeError)
})
