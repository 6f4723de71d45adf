import { settle } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { ProbeQueue } from "./probe-queue.ts"

/** A queue of 2 slots and room for 4 that linger; work ends when the test says so. */
function queue() {
  let now = 0
  const started: string[] = []
  const ends = new Map<string, () => void>()
  const made = new ProbeQueue<{ id: string; hangs: boolean }>({
    slots: 2,
    lingering: 4,
    now: () => now,
    start: ({ id }) => {
      started.push(id)
      return new Promise((resolve) => ends.set(id, resolve))
    },
  })
  const push = (ids: string, hangs = false) => {
    for (const id of ids) made.push({ id, hangs })
  }
  const end = async (id: string) => {
    ends.get(id)?.()
    await settle()
  }
  const pass = (ms: number) => {
    now += ms
    made.age(now)
  }
  return { made, started, push, end, pass }
}

it("starts in order, as many as there are slots", async () => {
  const { started, push, end, made } = queue()
  push("abcd")
  expect([started.join(""), made.underWay, made.waiting]).toEqual(["ab", 2, 2])
  await end("b")
  expect(started.join("")).toBe("abc")
})

it("what lingers frees its slot, as long as there is room for it", async () => {
  const { started, push, end, pass, made } = queue()
  push("abcdefgh")
  pass(99)
  expect(started.join("")).toBe("ab")
  pass(1)
  expect(started.join("")).toBe("abcd")
  pass(100)
  expect(started.join("")).toBe("abcdef")
  pass(100)
  expect([started.join(""), made.underWay]).toEqual(["abcdef", 6])
  await end("a")
  pass(1)
  expect(started.join("")).toBe("abcdefg")
})

it("what hung last time lingers from its beginning, in three quarters of the room", async () => {
  const { started, push, end } = queue()
  push("vwxyz", true)
  expect(started.join("")).toBe("vwx")
  push("ab")
  expect(started.join("")).toBe("vwxab")
  await end("v")
  expect(started.join("")).toBe("vwxaby")
})

it("takes out who waits, and nobody twice", async () => {
  const { made, started, end } = queue()
  const [a, b, c] = ["a", "b", "c"].map((id) => ({ id, hangs: false }))
  for (const entry of [a, b, c, c]) if (entry) made.push(entry)
  expect([made.waiting, made.first?.id]).toEqual([1, "c"])
  if (c) made.delete(c)
  await end("a")
  expect(started.join("")).toBe("ab")
})
