import { expect, it } from "vitest"
import { checkWatchHistory } from "./testing/index.ts"

it.each([1, 2, 3, 4])("every view equals the registry's state at its revision, seed %i", async (seed) => {
  const history = await checkWatchHistory({ seed, steps: 2000 })
  expect(history.faults.slice(0, 5)).toEqual([])
  expect(history.events).toBeGreaterThan(1000)
  expect(history.reconnects).toBeGreaterThan(50)
  expect(history.restarts).toBeGreaterThan(5)
})
