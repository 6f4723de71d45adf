import { seededRandom } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { describeBalancer } from "../testing/describe-balancer.ts"
import { availability, leastRequests, p2c, random, rendezvousHash, roundRobin } from "./index.ts"

describeBalancer("roundRobin", roundRobin, { weighted: true })
describeBalancer("random", random, { weighted: true })
// Judged by requests in flight per weight, which stand still in the suite.
describeBalancer("leastRequests", leastRequests, { weighted: false })
describeBalancer("p2c", p2c, { weighted: true })
describeBalancer("availability", availability, { weighted: true })
describeBalancer("rendezvousHash", rendezvousHash, { weighted: true })

const candidate = (address: string, inFlight = 0, latencyMs = 0, weight = 1) => ({ address, inFlight, latencyMs, weight })

it("roundRobin interleaves by weight without bursts", () => {
  const balancer = roundRobin(seededRandom(1))
  const candidates = [candidate("a", 0, 0, 5), candidate("b"), candidate("c")]
  expect(Array.from({ length: 7 }, () => balancer.pick(candidates, {}).address).join("")).toBe("aabacaa")
})

it("leastRequests prefers who has less to do for its weight", () => {
  const candidates = [candidate("a", 3), candidate("b", 2), candidate("c", 5, 0, 10)]
  expect(leastRequests(seededRandom(1)).pick(candidates, {}).address).toBe("c")
})

it("p2c never picks the slower and busier of two", () => {
  const candidates = [candidate("slow", 4, 80), candidate("quick", 1, 5)]
  const balancer = p2c(seededRandom(1))
  const picked = Array.from({ length: 200 }, () => balancer.pick(candidates, {}).address)
  expect(picked.filter((address) => address === "slow").length).toBeLessThan(30)
})

it("p2c goes on measuring an idle one that was slow once", () => {
  const candidates = [candidate("slow once", 0, 200), candidate("quick", 0, 3)]
  const balancer = p2c(seededRandom(1))
  const picked = Array.from({ length: 1000 }, () => balancer.pick(candidates, {}).address)
  const share = picked.filter((address) => address === "slow once").length / 1000
  expect(share).toBeGreaterThan(0.08)
  expect(share).toBeLessThan(0.2)
})

it("rendezvousHash keeps keys where they are when another candidate leaves", () => {
  const balancer = rendezvousHash(seededRandom(1))
  const all = ["a", "b", "c", "d"].map((address) => candidate(address))
  const keys = Array.from({ length: 500 }, (_, index) => `user ${index}`)
  const before = keys.map((hashKey) => balancer.pick(all, { hashKey }).address)
  const after = keys.map((hashKey) => balancer.pick(all.slice(1), { hashKey }).address)
  expect(before.every((address, index) => address === "a" || address === after[index])).toBe(true)
})

it("availability picks among those of the highest step, in turn by weight", () => {
  const balancer = availability(seededRandom(1))
  const of = (address: string, share?: number, weight = 1) => ({ ...candidate(address, 0, 0, weight), availability: share })
  const picks = (candidates: readonly ReturnType<typeof of>[], count: number) =>
    Array.from({ length: count }, () => balancer.pick(candidates, {}).address).join("")
  expect(picks([of("a", 0.9), of("b", 0.95), of("c", 0.95, 2)], 6)).toMatch(/^(?=[^a]*$)(?:[^b]*b){2}[^b]*$/)
  expect(picks([of("a", 0.95), of("b", 0.95), of("c", 0.9)], 4)).toMatch(/^(abab|baba)$/)
  expect(picks([of("a", 0.95), of("b")], 2)).toBe("bb")
  expect(picks([of("a", 0), of("b", 0)], 2)).toMatch(/^(ab|ba)$/)
})
