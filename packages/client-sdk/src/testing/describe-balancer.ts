import { seededRandom } from "@meshwork/contract/testing"
import { describe, expect, it } from "vitest"
import type { BalancerFactory, Weighted } from "../balancers/balancer.ts"

const candidate = (address: string, weight = 1, load: Partial<Weighted> = {}): Weighted => ({ address, weight, inFlight: 0, latencyMs: 0, ...load })

function shares(factory: BalancerFactory, candidates: readonly Weighted[], picks = 20_000): Map<string, number> {
  const balancer = factory(seededRandom(7))
  const counts = new Map<string, number>()
  for (let index = 0; index < picks; index++) {
    const { address } = balancer.pick(candidates, { hashKey: `key ${index}` })
    counts.set(address, (counts.get(address) ?? 0) + 1 / picks)
  }
  return counts
}

/** The suite every balancer passes; in-flight counts stand still here, so that weights alone decide. */
export function describeBalancer(name: string, factory: BalancerFactory, options: { weighted: boolean }): void {
  describe(`balancer ${name}`, () => {
    it("picks the only candidate", () => {
      expect([...shares(factory, [candidate("a")], 10).keys()]).toEqual(["a"])
    })
    it("spreads evenly over equals", () => {
      const result = shares(
        factory,
        ["a", "b", "c", "d"].map((address) => candidate(address)),
      )
      for (const share of result.values()) expect(share).toBeGreaterThan(0.23)
      expect(result.size).toBe(4)
    })
    if (options.weighted) {
      it("follows a weight that grows, as under slow start", () => {
        const growing = { ...candidate("new", 1), weight: 1 }
        const before = shares(factory, [candidate("old", 10), growing])
        growing.weight = 10
        const after = shares(factory, [candidate("old", 10), growing])
        expect(before.get("new")).toBeCloseTo(1 / 11, 1)
        expect(after.get("new")).toBeCloseTo(0.5, 1)
      })
      it("respects weights", () => {
        const result = shares(factory, [candidate("a", 10), candidate("b", 30), candidate("c", 60)])
        expect(result.get("a")).toBeCloseTo(0.1, 1)
        expect(result.get("b")).toBeCloseTo(0.3, 1)
        expect(result.get("c")).toBeCloseTo(0.6, 1)
      })
    }
    it("never picks who is not there any more", () => {
      const balancer = factory(seededRandom(7))
      const all = ["a", "b", "c"].map((address) => candidate(address))
      for (let index = 0; index < 50; index++) balancer.pick(all, { hashKey: String(index) })
      const rest = all.slice(0, 2)
      for (let index = 0; index < 50; index++) expect(balancer.pick(rest, { hashKey: String(index) }).address).not.toBe("c")
    })
    it("uses a newcomer", () => {
      const balancer = factory(seededRandom(7))
      const before = [candidate("a"), candidate("b")]
      for (let index = 0; index < 50; index++) balancer.pick(before, { hashKey: String(index) })
      const after = [...before, candidate("c")]
      const picked = Array.from({ length: 100 }, (_, index) => balancer.pick(after, { hashKey: String(index) }).address)
      expect(picked).toContain("c")
    })
  })
}
