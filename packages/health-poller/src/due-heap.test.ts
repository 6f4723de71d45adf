import { seededRandom } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { type Due, DueHeap } from "./due-heap.ts"

it("yields its entries in order of due time through random puts, moves and deletes", () => {
  const random = seededRandom(3)
  const heap = new DueHeap<Due>()
  const entries = Array.from({ length: 200 }, (): Due => ({ at: 0, slot: -1 }))
  const inside = new Set<Due>()
  for (let n = 0; n < 5000; n++) {
    const entry = entries[Math.floor(random() * entries.length)]
    if (!entry) continue
    if (random() < 0.3) {
      heap.delete(entry)
      inside.delete(entry)
    } else {
      heap.put(entry, Math.floor(random() * 1000))
      inside.add(entry)
    }
    expect(heap.first?.at).toBe(inside.size === 0 ? undefined : Math.min(...[...inside].map((one) => one.at)))
  }
  const left: number[] = []
  for (let first = heap.first; first; first = heap.first) {
    left.push(first.at)
    heap.delete(first)
  }
  expect(left).toHaveLength(inside.size)
  expect(left).toEqual(left.toSorted((a, b) => a - b))
})
