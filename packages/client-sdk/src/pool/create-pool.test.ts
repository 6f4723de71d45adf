import { ManualClock, seededRandom, settle } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { roundRobin } from "../balancers/index.ts"
import { createStaticSource } from "../sources/static-source.ts"
import { fakeInstance } from "../testing/index.ts"
import { createPool } from "./create-pool.ts"

async function pooled(ports: number[]) {
  const clock = new ManualClock()
  const source = createStaticSource("test")
  const set = async (instances: ReturnType<typeof fakeInstance>[]) => {
    source.set("a", instances, 1)
    await settle()
  }
  await set(ports.map((port) => fakeInstance("a", port)))
  const pool = createPool({ service: "a", source, balancer: roundRobin, clock, random: seededRandom(1) })
  await pool.ready()
  return { clock, pool, set }
}

it("an endpoint stays the same object for as long as it is there, and says when it is gone", async () => {
  const { pool, set } = await pooled([1, 2])
  const before = pool.pick()?.endpoint
  await set([fakeInstance("a", 1, { weight: 7 }), fakeInstance("a", 2)])
  expect(pool.candidates().map((candidate) => candidate.endpoint)).toContain(before)
  expect(before?.gone.aborted).toBe(false)
  await set([fakeInstance("a", 3)])
  expect(before?.gone.aborted).toBe(true)
  expect(pool.pick()?.endpoint.instance.port).toBe(3)
})

it("counts requests in flight, each end once", async () => {
  const { pool } = await pooled([1])
  const [one, two] = [pool.pick(), pool.pick()]
  expect(one?.endpoint.inFlight).toBe(2)
  one?.done({ result: "success", latencyMs: 10 })
  one?.done({ result: "success", latencyMs: 10 })
  expect([one?.endpoint.inFlight, one?.endpoint.latencyMs]).toEqual([1, 10])
  two?.done({ result: "aborted", latencyMs: 9999 })
  expect([one?.endpoint.inFlight, one?.endpoint.latencyMs]).toEqual([0, 10])
})

it("leaves out who was tried, and who refused within the last second while another can be picked", async () => {
  const { pool, clock } = await pooled([1, 2])
  const first = pool.pick()
  const address = first?.endpoint.address ?? ""
  expect(pool.pick({ exclude: new Set([address]) })?.endpoint.address).not.toBe(address)
  expect(pool.pick({ exclude: new Set(["127.0.0.1:1", "127.0.0.1:2"]) })).toBeUndefined()
  first?.done({ result: "failure", refused: true })
  for (let index = 0; index < 5; index++) expect(pool.pick()?.endpoint.address).not.toBe(address)
  pool.pick({ exclude: new Set([address]) })?.done({ result: "failure", refused: true })
  expect(pool.pick()).toBeDefined()
  await clock.advance(1000)
  expect(new Set([pool.pick(), pool.pick()].map((picked) => picked?.endpoint.address)).size).toBe(2)
})

it("believes who registered itself before Docker and configuration", async () => {
  const { pool, set } = await pooled([])
  await set([
    fakeInstance("a", 1, { id: "file", origin: "config" }),
    fakeInstance("a", 1, { id: "self" }),
    fakeInstance("a", 1, { id: "box", origin: "docker" }),
  ])
  expect(pool.candidates().map((candidate) => candidate.endpoint.id)).toEqual(["self"])
})

it("close ends its endpoints and picks nobody any more", async () => {
  const { pool } = await pooled([1])
  const endpoint = pool.pick()?.endpoint
  await pool.close()
  await pool.close()
  expect([endpoint?.gone.aborted, pool.pick()]).toEqual([true, undefined])
})
