import { expect, it } from "vitest"
import { Progress } from "./progress.ts"

const watching = (from: number, storeAt = from): Progress => {
  const progress = new Progress(from)
  progress.created(storeAt, 0)
  return progress
}

it("takes etcd's word once a second one has come", () => {
  const progress = watching(10)
  progress.ask(12, 500)
  expect([progress.report(12, 501), progress.trusted]).toEqual([false, 10])
  progress.ask(15, 1000)
  expect([progress.report(15, 1001), progress.trusted]).toEqual([true, 12])
})

it("does not when a change comes that the first one should have covered", () => {
  const progress = watching(10)
  progress.ask(12, 500)
  progress.report(12, 501)
  expect(progress.change(11)).toBe(true)
  progress.ask(12, 1000)
  expect([progress.report(12, 1001), progress.trusted]).toEqual([false, 11])
  progress.ask(12, 1500)
  expect([progress.report(12, 1501), progress.trusted]).toEqual([true, 12])
})

it("notices a change that comes too late", () => {
  const progress = watching(10)
  progress.ask(12, 500)
  progress.report(12, 501)
  progress.report(12, 1001)
  expect([progress.trusted, progress.change(12), progress.change(13), progress.change(13)]).toEqual([12, false, true, false])
})

it("does not take it while a new watch still hands out what came before", () => {
  const progress = watching(10, 400)
  progress.ask(400, 200)
  progress.report(400, 201)
  progress.ask(400, 700)
  expect([progress.report(400, 701), progress.trusted]).toEqual([false, 10])
  progress.ask(400, 1200)
  expect(progress.report(400, 1201)).toBe(false)
  progress.ask(400, 1700)
  expect(progress.report(400, 1701)).toBe(true)
})

it.each([
  ["the member asked is behind the store", 11, 600],
  ["the answer is old", 12, 2600],
])("confirms nothing where %s", (_title, said, now) => {
  const progress = watching(10)
  progress.ask(12, 500)
  progress.report(said, 501)
  expect(progress.report(said, now)).toBe(false)
})
