import type { LookupFunction } from "node:net"
import { ManualClock } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { HostLookup } from "./host-lookup.ts"

/** A resolver that answers after as long as the test says, and knows who it was asked for. */
function resolver(delayOf: (host: string) => number, atOnce = 4) {
  const clock = new ManualClock()
  const asked: string[] = []
  const answered: string[] = []
  const system: LookupFunction = (host, _, answer) => {
    asked.push(host)
    const error = host.startsWith("no") ? Object.assign(new Error("no such host"), { code: "ENOTFOUND" }) : null
    clock.timer(delayOf(host), () => answer(error, "10.0.0.1", 4))
  }
  const lookup = new HostLookup(clock, system, atOnce)
  const ask = (host: string, options = {}) =>
    lookup.lookup(host, options, (error, address) => answered.push(error ? `${host} ${error.code}` : `${host} ${JSON.stringify(address)}`))
  return { clock, asked, answered, ask }
}

it("names that the resolver is silent about delay only one another, and localhost from the beginning nobody", async () => {
  const { clock, asked, answered, ask } = resolver((host) => (host.startsWith("silent") ? 10_000 : 1))
  ask("quick")
  await clock.advance(1)
  for (let n = 0; n < 50; n++) ask(`silent${n}`)
  for (const host of ["quick", "localhost", "a.localhost"]) ask(host)
  expect(asked).toEqual(["quick", "silent0", "silent1", "silent2", "quick", "localhost", "a.localhost"])
  await clock.advance(1)
  expect(answered.slice(1).toSorted()).toEqual(['a.localhost "10.0.0.1"', 'localhost "10.0.0.1"', 'quick "10.0.0.1"'])
  await clock.advance(25 * 10_000)
  expect(answered).toHaveLength(4 + 50)
})

it("a name that became slow comes after those that nobody has asked for, and is quick again once it is answered quickly", async () => {
  let slow = false
  const { clock, asked, ask } = resolver((host) => (host.startsWith("a") && !slow ? 1 : 600))
  const names = ["a1", "a2", "a3"]
  for (const host of names) ask(host)
  await clock.advance(1)
  slow = true
  for (const host of names) ask(host)
  await clock.advance(600)
  asked.length = 0
  for (const host of [...names, "new1", "new2"]) ask(host)
  expect(asked).toEqual(["a1", "a2", "new1"])
  await clock.advance(600)
  expect(asked).toEqual(["a1", "a2", "new1", "new2", "a3"])
  slow = false
  await clock.advance(600)
  ask("a3")
  await clock.advance(1)
  asked.length = 0
  for (const host of ["b", "c", "d", "e", "a3"]) ask(host)
  expect(asked).toEqual(["b", "c", "d", "a3"])
})

it("asks once for everyone who asks at the same time, and apart for other options", async () => {
  const { clock, asked, answered, ask } = resolver(() => 10)
  for (let n = 0; n < 20; n++) ask("nowhere")
  ask("nowhere", { all: true })
  expect(asked).toEqual(["nowhere", "nowhere"])
  await clock.advance(10)
  expect(answered).toEqual(Array.from({ length: 21 }, () => "nowhere ENOTFOUND"))
  ask("nowhere")
  expect(asked).toHaveLength(3)
})

it("what nobody waits for any more is not asked, and what is under way tells only who still waits", async () => {
  const { clock, asked, answered, ask } = resolver(() => 10_000)
  const takeBack = Array.from({ length: 100 }, (_, n) => ask(`silent${n}`))
  ask("silent50")
  for (const each of takeBack) each()
  takeBack[0]?.()
  await clock.advance(60_000)
  expect(asked).toEqual(["silent0", "silent1", "silent2", "silent50"])
  expect(answered).toEqual(['silent50 "10.0.0.1"'])
  ask("silent3")
  expect(asked).toHaveLength(5)
})

it("leaves one of two look-ups at once to quick names", async () => {
  const { clock, asked, ask } = resolver((host) => (host.startsWith("silent") ? 10_000 : 1), 2)
  for (const host of ["silent0", "silent1", "localhost"]) ask(host)
  expect(asked).toEqual(["silent0", "localhost"])
  await clock.advance(10_000)
  expect(asked).toEqual(["silent0", "localhost", "silent1"])
})
