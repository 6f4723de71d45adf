import { expect, it } from "vitest"
import { mostCutOffMs, mostDoubtMs, NetworkWatch } from "./network-watch.ts"

/** Knows hosts that answered at 0, each its own witness. */
function watching(...hosts: string[]): NetworkWatch<string> {
  const watch = new NetworkWatch<string>()
  for (const host of hosts) watch.heard(host, host, 0)
  return watch
}

it("believes a silence when another host was heard since it began", () => {
  const watch = watching("a", "b")
  watch.heard("b", "b", 1500)
  expect(watch.silent("a", 1000, 6000)).toEqual({ judgement: "believe" })
})

it("believes the silence of the only host there is, and of one that never answered", () => {
  expect(watching("a").silent("a", 1000, 6000)).toEqual({ judgement: "believe" })
  expect(watching("a", "b").silent("new", 1000, 6000)).toEqual({ judgement: "believe" })
})

it("doubts itself for a single host where this machine has no way to it, unless others are heard", () => {
  const alone = watching("a")
  expect(alone.silent("a", 1000, 1000, true)).toEqual({ judgement: "cut-off", ask: [] })
  expect(alone.silent("a", 1000, 1000 + mostCutOffMs + 1, true)).toEqual({ judgement: "believe" })
  const one = watching("a", "b")
  expect(one.silent("a", 1000, 1000, true)).toEqual({ judgement: "doubt", ask: ["b"] })
  one.heard("b", "b", 1010)
  expect(one.silent("a", 1000, 1500, true)).toEqual({ judgement: "believe" })
  expect(watching("b").silent("never heard", 1000, 1000, true)).toEqual({ judgement: "believe" })
})

it("asks others first, and believes as soon as one of them is heard", () => {
  const watch = watching("a", "b", "c", "d", "e")
  expect(watch.silent("a", 1000, 6000)).toEqual({ judgement: "doubt", ask: ["c", "d", "e"] })
  watch.heard("d", "d", 6010)
  expect(watch.silent("a", 1000, 11_000)).toEqual({ judgement: "believe" })
  expect(watch.cutOffSince).toBeUndefined()
})

it("takes two of two, or three of many, that fall silent together for its own fault", () => {
  const two = watching("a", "b")
  expect(two.silent("a", 1000, 6000).judgement).toBe("doubt")
  expect(two.silent("b", 1000, 6000).judgement).toBe("cut-off")
  expect(two.silent("a", 1000, 11_000).judgement).toBe("cut-off")
  const many = watching("a", "b", "c", "d", "e", "f")
  expect(["a", "b", "c", "d"].map((host) => many.silent(host, 1000, 6000).judgement)).toEqual(["doubt", "doubt", "cut-off", "cut-off"])
})

it("one host that is silent over and over is one host", () => {
  const watch = watching("a", "b", "c")
  for (let now = 2000; now < 1000 + mostDoubtMs; now += 1000) expect(watch.silent("a", 1000, now).judgement).toBe("doubt")
  expect(watch.silent("a", 1000, 1001 + mostDoubtMs).judgement).toBe("believe")
})

it("is over when anything is heard, and after 300 s at the latest", () => {
  const watch = watching("a", "b")
  watch.silent("a", 1000, 6000)
  watch.silent("b", 1000, 6000)
  expect(watch.cutOffSince).toBe(6000)
  expect(watch.silent("a", 1000, 6000 + mostCutOffMs).judgement).toBe("cut-off")
  expect(watch.silent("a", 1000, 6001 + mostCutOffMs).judgement).toBe("believe")
  watch.heard("b", "b", 400_000)
  expect(watch.cutOffSince).toBeUndefined()
  expect(watch.silent("a", 399_000, 401_000).judgement).toBe("believe")
})

it("does not count on whoever is not asked any more", () => {
  const watch = watching("a", "b")
  watch.forget("b", "b")
  expect(watch.silent("a", 1000, 6000).judgement).toBe("believe")
})
