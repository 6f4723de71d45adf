import { createStaticSource } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import type { InstanceSource, ServiceSnapshot } from "@meshwork/contract"
import { settle } from "@meshwork/contract/testing"
import { expect, it } from "vitest"
import { mergeSources } from "./merged-source.ts"

/** A source that says only what a test lets it say. */
function scripted(): { source: InstanceSource; say(snapshot: Partial<ServiceSnapshot>): Promise<void>; fail(error: Error): Promise<void> } {
  const queue: (ServiceSnapshot | Error)[] = []
  let wake: () => void = () => {}
  const push = async (item: ServiceSnapshot | Error): Promise<void> => {
    queue.push(item)
    wake()
    await settle()
  }
  const source: InstanceSource = {
    name: "scripted",
    async *watch(_, signal) {
      signal.addEventListener("abort", () => wake())
      while (!signal.aborted) {
        const item = queue.shift()
        if (item instanceof Error) throw item
        if (item !== undefined) yield item
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  }
  return { source, say: (snapshot) => push({ service: "a", instances: [], at: 1, ...snapshot }), fail: push }
}

function follow(source: InstanceSource): { seen: ServiceSnapshot[]; stop: AbortController; ended: Promise<void> } {
  const seen: ServiceSnapshot[] = []
  const stop = new AbortController()
  const ended = (async () => {
    for await (const snapshot of source.watch("a", stop.signal)) seen.push(snapshot)
  })()
  return { seen, stop, ended }
}

const ports = (snapshot: ServiceSnapshot | undefined) => snapshot?.instances.map((instance) => instance.port)

it("instances of both are one list; an empty half alone is no answer yet", async () => {
  const [one, other] = [scripted(), scripted()]
  const { seen, stop, ended } = follow(mergeSources(one.source, other.source))
  await one.say({})
  expect(seen).toEqual([])
  await other.say({ instances: [fakeInstance("a", 1)], at: 5 })
  await one.say({ instances: [fakeInstance("a", 2)], at: 3, stale: true })
  expect(seen.map(ports)).toEqual([[1], [2, 1]])
  expect(seen.at(-1)).toMatchObject({ at: 5, stale: true })
  await one.say({})
  await other.say({})
  expect(seen.map(ports).slice(2)).toEqual([[1], []])
  stop.abort()
  await ended
})

it("one half with instances is enough, and a half that fails ends it with its error", async () => {
  const one = scripted()
  const fixed = createStaticSource("fixed")
  fixed.set("a", [fakeInstance("a", 7)], 1)
  const { seen, ended } = follow(mergeSources(one.source, fixed))
  await settle()
  expect(seen.map(ports)).toEqual([[7]])
  const failed = expect(ended).rejects.toThrow("broken")
  await one.fail(new Error("broken"))
  await failed
})
