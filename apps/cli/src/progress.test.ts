import { ManualClock, settle } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { withProgress } from "./progress.ts"
import { fakeContext } from "./testing/fake-context.ts"

function terminal() {
  const clock = new ManualClock()
  const context = fakeContext({ clock })
  context.stderr = { write: (text) => (context.written.stderr += text), columns: 80 }
  const wait = (ms: number) => new Promise<void>((resolve) => clock.timer(ms, resolve))
  return { clock, context, wait }
}
const pass = async (clock: ManualClock, ms: number) => {
  await clock.advance(ms)
  await settle()
}
const gone = "\r\u001b[K"

it("says after a second what takes so long, and takes it back at the end", async () => {
  const { clock, context, wait } = terminal()
  const work = withProgress(context, "asking", () => wait(3000))
  await pass(clock, 999)
  expect(context.written.stderr).toBe("")
  await pass(clock, 1)
  expect(context.written.stderr).toBe("asking…")
  await pass(clock, 2000)
  await work
  expect(context.written.stderr).toBe(`asking…${gone}`)
})

it("says nothing of what is quick, and nothing where stderr is no terminal", async () => {
  const { clock, context, wait } = terminal()
  const quick = withProgress(context, "asking", () => wait(900))
  await pass(clock, 900)
  await quick
  const silent = fakeContext({ clock })
  const long = withProgress(silent, "asking", () => wait(5000))
  await pass(clock, 5000)
  await long
  expect([context.written.stderr, silent.written.stderr]).toEqual(["", ""])
})

it("counts steps that follow each other together, and those apart for themselves", async () => {
  const { clock, context, wait } = terminal()
  const steps = (async () => {
    await withProgress(context, "one", () => wait(600))
    await withProgress(context, "two", () => wait(600))
  })()
  await pass(clock, 600)
  await pass(clock, 400)
  expect(context.written.stderr).toBe("two…")
  await pass(clock, 200)
  await steps
  await pass(clock, 500)
  const later = withProgress(context, "three", () => wait(600))
  await pass(clock, 600)
  await later
  expect(context.written.stderr).toBe(`two…${gone}`)
})

it("a failure stands alone, whatever else is under way", async () => {
  const { clock, context, wait } = terminal()
  const long = withProgress(context, "all", () => wait(9000))
  const failing = withProgress(context, "all", async () => {
    await wait(2000)
    throw new Error("no")
  })
  void failing.catch(() => {})
  await pass(clock, 2000)
  await expect(failing).rejects.toThrow("no")
  expect(context.written.stderr).toBe(`all…${gone}`)
  await pass(clock, 7000)
  await long
  expect(context.written.stderr).toBe(`all…${gone}`)
})

it("tells work at the same time once, and takes it back when the last of it fails", async () => {
  const { clock, context, wait } = terminal()
  const first = withProgress(context, "all", () => wait(1500))
  const second = withProgress(context, "all", async () => {
    await wait(2000)
    throw new Error("no")
  })
  void second.catch(() => {})
  await pass(clock, 1500)
  await first
  expect(context.written.stderr).toBe("all…")
  await pass(clock, 500)
  await expect(second).rejects.toThrow("no")
  expect(context.written.stderr).toBe(`all…${gone}`)
})
