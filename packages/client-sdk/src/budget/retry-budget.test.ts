import { expect, it } from "vitest"
import { retryBudget } from "./retry-budget.ts"

it("is full at the start and pays until it is empty", () => {
  const budget = retryBudget()
  expect(Array.from({ length: 11 }, () => budget.spend(1, 0))).toEqual([...Array.from({ length: 10 }, () => true), false])
  const hedges = retryBudget()
  expect([hedges.spend(4, 0), hedges.spend(4, 0), hedges.spend(4, 0), hedges.spend(1, 0), hedges.tokens]).toEqual([true, true, false, true, 1])
})

it("earns 0.18 for every request", () => {
  const budget = retryBudget()
  budget.spend(10, 0)
  for (let request = 0; request < 50; request++) budget.earn(0)
  expect(budget.tokens).toBeCloseTo(9)
})

it("earns one a second while few requests come, and never more than it holds", () => {
  const budget = retryBudget({ perRequest: 0 })
  budget.spend(10, 0)
  for (let second = 1; second <= 4; second++) budget.earn(second * 1000)
  expect(budget.tokens).toBeCloseTo(4)
  budget.earn(1_000_000)
  expect(budget.tokens).toBe(10)
})

it("earns nothing for time while many come", () => {
  const budget = retryBudget({ perRequest: 0 })
  for (let request = 0; request < 5; request++) budget.earn(0)
  budget.spend(10, 0)
  for (let ms = 100; ms <= 10_000; ms += 100) budget.earn(ms)
  expect(budget.tokens).toBe(0)
})

it.each([{ capacity: -1 }, { perRequest: Number.NaN }, { perSecond: -0.1 }])("refuses %j", (options) => {
  expect(() => retryBudget(options)).toThrow(RangeError)
})

it("starts with what it is told, and goes into debt for what others repeated", () => {
  const budget = retryBudget({ capacity: 100, initial: 2 })
  expect(budget.tokens).toBe(2)
  budget.charge(5, 0)
  expect(budget.tokens).toBe(-3)
  expect(budget.spend(1, 0)).toBe(false)
  for (let n = 0; n < 1000; n++) budget.charge(1, 0)
  expect(budget.tokens).toBe(-100)
})
