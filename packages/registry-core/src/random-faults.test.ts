import { expect, it } from "vitest"
import { checkManyServers } from "./testing/check-many-servers.ts"
import { checkOneServer } from "./testing/check-one-server.ts"

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

it.each([1, 2, 3, 4])(
  "one server that is killed, closed, paused or without a disk: whoever lives stays, and whoever is dead goes in time, seed %i",
  async (seed) => {
    const history = await checkOneServer({ seed, seconds: 600 })
    expect(history.faults).toEqual([])
    expect(history.gone).toBeGreaterThan(10)
    expect(Object.values(history.tried).reduce((sum, count) => sum + count)).toBeGreaterThan(10)
  },
)
