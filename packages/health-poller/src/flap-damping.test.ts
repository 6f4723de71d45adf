import { describe, expect, it, test } from "vitest"
import { type Flapping, halfLifeMs, heldForMs, nextFlapping, penaltyAt, steady } from "./flap-damping.ts"

const halfLife = 10_000

/** Lets cycles end a second apart: `-` fails after a success, `+` anything else. */
function run(cycles: string, from: Flapping = steady, at = 1000): { state: Flapping; at: number } {
  let state = from
  for (const cycle of cycles) state = nextFlapping(state, cycle === "-", (at += 1000), halfLife)
  return { state, at }
}

test.each([
  { frequencySeconds: 0.1, ms: 15_000 },
  { frequencySeconds: 2.5, ms: 15_000 },
  { frequencySeconds: 10, ms: 40_000 },
  { frequencySeconds: 60, ms: 60_000 },
  { frequencySeconds: 86_400, ms: 60_000 },
])("the penalty of a check every $frequencySeconds s falls by half in $ms ms", ({ frequencySeconds, ms }) => {
  expect(halfLifeMs({ frequencySeconds })).toBe(ms)
})

test.each([
  { cycles: "++++", held: false },
  { cycles: "-", held: false },
  { cycles: "-+++++++++-", held: false },
  { cycles: "-+-", held: false },
  { cycles: "-+-+-", held: true },
  { cycles: "-+++++++++++++++++++-+++++++++++++++++++-", held: false },
  { cycles: "-+-+-++++", held: true },
  { cycles: `-+-+-${"+".repeat(15)}`, held: false },
])("after $cycles it is held: $held", ({ cycles, held }) => {
  expect(run(cycles).state.held).toBe(held)
})

it.each([
  { frequencySeconds: 10, held: true },
  { frequencySeconds: 60, held: false },
])("one that fails at every other check, one every $frequencySeconds s, is held: $held", ({ frequencySeconds, held }) => {
  let state: Flapping = steady
  for (let cycle = 0; cycle < 100; cycle++)
    state = nextFlapping(state, cycle % 2 === 1, cycle * frequencySeconds * 1000, halfLifeMs({ frequencySeconds }))
  expect(state.held).toBe(held)
})

describe("a held instance", () => {
  it("is released within two half-lives of its last failure, however long it flapped", () => {
    const { state, at } = run("-+".repeat(500))
    expect(state.held).toBe(true)
    const wait = heldForMs(state, at, halfLife)
    expect(wait).toBeLessThanOrEqual(2 * halfLife)
    expect(nextFlapping(state, false, at + wait - 50, halfLife).held).toBe(true)
    expect(nextFlapping(state, false, at + wait + 50, halfLife).held).toBe(false)
  })

  it("is forgiven entirely in the end", () => {
    const { state, at } = run("-+-+-")
    const released = nextFlapping(state, false, at + 20_000, halfLife)
    expect(penaltyAt(released, at + 20_000, halfLife)).toBeCloseTo(state.penalty / 4)
    expect(nextFlapping(released, false, at + 100_000, halfLife)).toEqual({ penalty: 0, at: at + 100_000, held: false })
  })
})

it("one that is not held need not wait", () => {
  expect(heldForMs(run("-").state, 3000, halfLife)).toBe(0)
})
