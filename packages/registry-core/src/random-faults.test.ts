import { expect, it } from "vitest"
import { checkManyServers } from "./testing/check-many-servers.ts"

it.each([
  { seed: 1, servers: 3 },
  { seed: 2, servers: 2 },
  { seed: 31, servers: 3 },
  { seed: 119, servers: 4 },
  { seed: 143, servers: 4 },
  { seed: 179, servers: 4 },
])("$servers servers over one store: whoever lives stays, whoever is dead goes in time, and the journal says why, seed $seed", async (options) => {
  const history = await checkManyServers({ ...options, seconds: 600 })
  expect(history.faults).toEqual([])
  expect(history.died).toBeGreaterThan(10)
  expect(history.expired).toBeGreaterThan(10)
  expect(Object.values(history.tried).reduce((sum, count) => sum + count)).toBeGreaterThan(20)
})
