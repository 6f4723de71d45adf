import { ManualClock, settle } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { runUntilStopped } from "./run-until-stopped.ts"
import { fakeContext } from "./testing/fake-context.ts"

function part(name: string, log: string[], closed: Promise<void> = Promise.resolve()) {
  return {
    close: async () => {
      log.push(`${name} closes`)
      await closed
      log.push(`${name} closed`)
    },
  }
}

it("closes the last part first, and each once, however often a signal comes", async () => {
  const context = fakeContext({ clock: new ManualClock() })
  const log: string[] = []
  const ended = runUntilStopped(context, async (running) => {
    running(part("discovery", log))
    running(part("gateway", log))
  })
  await settle()
  expect(log).toEqual([])
  context.signal()
  context.signal()
  context.signal()
  expect(await ended).toBe(0)
  expect(log).toEqual(["gateway closes", "gateway closed", "discovery closes", "discovery closed"])
  expect(context.exits).toEqual([])
})

it("a further signal ends the process only after three seconds", async () => {
  const clock = new ManualClock()
  const context = fakeContext({ clock })
  const never = new Promise<void>(() => {})
  void runUntilStopped(context, async (running) => running(part("gateway", [], never)))
  await settle()
  context.signal()
  await clock.advance(2999)
  context.signal()
  expect(context.exits).toEqual([])
  await clock.advance(1)
  context.signal()
  expect(context.exits).toEqual([1])
})

it("a signal during the start closes what the start brought up", async () => {
  const context = fakeContext({ clock: new ManualClock() })
  const log: string[] = []
  let go: () => void = () => {}
  const started = new Promise<void>((resolve) => (go = resolve))
  const ended = runUntilStopped(context, async (running) => {
    await started
    running(part("discovery", log))
  })
  context.signal()
  go()
  expect(await ended).toBe(0)
  expect(log).toEqual(["discovery closes", "discovery closed"])
})

it("a failed start closes what already ran and rejects", async () => {
  const context = fakeContext({ clock: new ManualClock() })
  const log: string[] = []
  const ended = runUntilStopped(context, async (running) => {
    running(part("discovery", log))
    throw new Error("port taken")
  })
  await expect(ended).rejects.toThrow("port taken")
  expect(log).toEqual(["discovery closes", "discovery closed"])
  context.signal()
  expect(context.exits).toEqual([])
})
