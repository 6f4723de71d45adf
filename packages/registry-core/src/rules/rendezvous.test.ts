import { expect, it } from "vitest"
import { rendezvous } from "./rendezvous.ts"

const keys = Array.from({ length: 30_000 }, (_, index) => `orders/10.0.${index >> 8}.${index & 255}:8080`)
const count = (owners: readonly (string | undefined)[]) => {
  const counts = new Map<string | undefined, number>()
  for (const owner of owners) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  return counts
}

it("spreads keys evenly, whatever the order of the servers", () => {
  const owners = keys.map((key) => rendezvous(key, ["a", "b", "c"]))
  for (const share of count(owners).values()) expect(Math.abs(share - 10_000)).toBeLessThan(500)
  expect(keys.map((key) => rendezvous(key, ["c", "a", "b"]))).toEqual(owners)
})

it("moves only the share of the server that goes", () => {
  const before = keys.map((key) => rendezvous(key, ["a", "b", "c"]))
  const after = keys.map((key) => rendezvous(key, ["a", "c"]))
  expect(before.filter((owner, index) => owner !== "b" && owner !== after[index])).toEqual([])
  expect(new Set(after)).toEqual(new Set(["a", "c"]))
})

it("gives nothing to nobody", () => {
  expect(rendezvous("a/1", [])).toBeUndefined()
})
