import type { Instance } from "@meshwork/contract"
import { ManualClock, seededRandom } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { availability } from "../balancers/index.ts"
import type { BalancerFactory } from "../balancers/index.ts"
import { createStaticSource } from "../sources/static-source.ts"
import { fakeInstance } from "../testing/index.ts"
import { createPool } from "./create-pool.ts"

async function pooled(instances: Instance[], balancer?: BalancerFactory) {
  const source = createStaticSource("test")
  source.set("a", instances, 1)
  const pool = createPool({ service: "a", source, clock: new ManualClock(), random: seededRandom(1), ...(balancer ? { balancer } : {}) })
  await pool.ready()
  const eligible = () =>
    pool
      .candidates()
      .filter((candidate) => candidate.eligible)
      .map(({ endpoint }) => endpoint.instance.port)
  return { pool, eligible }
}

it("where all refused a moment ago they are told as eligible, since one of them is picked all the same", async () => {
  const { pool, eligible } = await pooled([fakeInstance("a", 1), fakeInstance("a", 2)])
  const first = pool.pick()
  first?.done({ result: "aborted", refused: true })
  const left = first?.endpoint.instance.port === 1 ? 2 : 1
  expect(eligible()).toEqual([left])
  pool.pick()?.done({ result: "aborted", refused: true })
  expect(eligible()).toEqual([1, 2])
  expect(pool.pick()).toBeDefined()
})

it("whom the balancer leaves out is not told as eligible", async () => {
  const probed = (port: number, share: number) =>
    fakeInstance("a", port, { health: { status: "passing", since: 0, reason: "", by: "", availability: share } })
  const { eligible } = await pooled([probed(1, 1), probed(2, 0.9), probed(3, 1)], availability)
  expect(eligible()).toEqual([1, 3])
})
