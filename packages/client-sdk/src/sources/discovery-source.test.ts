import type { ServerResponse } from "node:http"
import type { ServiceSnapshot } from "@meshwork/contract"
import { expect, it, onTestFinished } from "vitest"
import { fakeInstance } from "../testing/index.ts"
import { eventually, loopbackServer } from "../testing/loopback-server.ts"
import { createDiscoverySource } from "./discovery-source.ts"

interface Stream {
  query: URLSearchParams
  lastEventId: string | undefined
  response: ServerResponse
}

/** A server that speaks the watch protocol as the test tells it to. */
async function fakeDiscovery() {
  const streams: Stream[] = []
  const { url, stop, server } = await loopbackServer((request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.flushHeaders()
    const lastEventId = request.headers["last-event-id"]
    streams.push({
      query: new URL(request.url ?? "", "http://a").searchParams,
      lastEventId: lastEventId === undefined ? undefined : String(lastEventId),
      response,
    })
  })
  const send = (event: string, data: object, id?: string, stream = streams.at(-1)) =>
    stream?.response.write(
      `event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify({ epoch: "e", revision: 1, at: 0, ...data })}\n\n`,
    )
  const snapshot = (service: string, ports: number[], revision = 1, epoch = "e") =>
    send("snapshot", { service, revision, epoch, instances: ports.map((port) => fakeInstance(service, port)) })
  const synced = (revision = 1, epoch = "e", more: object = {}) => send("synced", { revision, epoch, ...more }, `${epoch}.${revision}`)
  return { url, stop, server, streams, send, snapshot, synced }
}

function following(urls: string[], service: string, source = createDiscoverySource({ urls, random: () => 0 })) {
  const stop = new AbortController()
  const seen: ServiceSnapshot[] = []
  void (async () => {
    for await (const snapshot of source.watch(service, stop.signal)) seen.push(snapshot)
  })()
  onTestFinished(async () => {
    stop.abort()
    await source.close()
  })
  const ports = () => seen.at(-1)?.instances.map((instance) => instance.port)
  return { source, seen, ports, stop }
}

it("yields the snapshot, then what changes make of it", async () => {
  const discovery = await fakeDiscovery()
  const { ports, seen } = following([discovery.url], "a")
  await eventually(() => expect(discovery.streams[0]?.query.getAll("service")).toEqual(["a"]))
  discovery.snapshot("a", [1, 2])
  discovery.synced()
  await eventually(() => expect([ports(), seen.at(-1)?.stale]).toEqual([[1, 2], undefined]))
  discovery.send(
    "change",
    { service: "a", from: 1, revision: 2, upserted: [fakeInstance("a", 3)], removed: [{ id: "127.0.0.1:1", why: "gone" }] },
    "e.2",
  )
  await eventually(() => expect(ports()).toEqual([2, 3]))
})

it("keeps what it knew while the server is away, and resumes where it was", async () => {
  const discovery = await fakeDiscovery()
  const { ports, seen } = following([discovery.url], "a")
  await eventually(() => expect(discovery.streams).toHaveLength(1))
  discovery.snapshot("a", [1], 7)
  discovery.synced(7)
  await eventually(() => expect([ports(), seen.at(-1)?.stale]).toEqual([[1], undefined]))
  discovery.streams[0]?.response.destroy()
  await eventually(() => expect([ports(), seen.at(-1)?.stale]).toEqual([[1], true]))
  await eventually(() => expect(discovery.streams[1]?.lastEventId).toBe("e.7"))
  expect(discovery.streams[1]?.query.getAll("fresh")).toEqual([])
  discovery.synced(7)
  await eventually(() => expect([ports(), seen.at(-1)?.stale]).toEqual([[1], undefined]))
})

it("asks for a snapshot of a service that is added, over the same stream", async () => {
  const discovery = await fakeDiscovery()
  const first = following([discovery.url], "a")
  await eventually(() => expect(discovery.streams).toHaveLength(1))
  discovery.snapshot("a", [1])
  discovery.synced()
  await eventually(() => expect(first.ports()).toEqual([1]))
  const second = following([discovery.url], "b", first.source)
  await eventually(() => expect(discovery.streams).toHaveLength(2))
  expect([discovery.streams[1]?.query.getAll("service"), discovery.streams[1]?.query.getAll("fresh"), discovery.streams[1]?.lastEventId]).toEqual([
    ["a", "b"],
    ["b"],
    "e.1",
  ])
  discovery.snapshot("b", [2])
  discovery.synced()
  await eventually(() => expect([first.ports(), second.ports()]).toEqual([[1], [2]]))
})

it("asks again when a change begins later than what it has", async () => {
  const discovery = await fakeDiscovery()
  const { ports } = following([discovery.url], "a")
  await eventually(() => expect(discovery.streams).toHaveLength(1))
  discovery.snapshot("a", [1])
  discovery.synced()
  await eventually(() => expect(ports()).toEqual([1]))
  discovery.send("change", { service: "a", from: 5, revision: 6, upserted: [], removed: [] }, "e.6")
  await eventually(() => expect(discovery.streams[1]?.query.getAll("fresh")).toEqual(["a"]))
})

it("moves to the next server when one is lost", async () => {
  const [one, two] = [await fakeDiscovery(), await fakeDiscovery()]
  const { ports } = following([one.url, two.url], "a")
  await eventually(() => expect(one.streams).toHaveLength(1))
  one.snapshot("a", [1])
  one.synced()
  await eventually(() => expect(ports()).toEqual([1]))
  one.stop()
  await eventually(() => expect(two.streams).toHaveLength(1))
  two.snapshot("a", [1, 2], 1, "other")
  two.synced(1, "other")
  await eventually(() => expect(ports()).toEqual([1, 2]))
})

it("is not emptied by a registry that came back empty", async () => {
  const discovery = await fakeDiscovery()
  const { ports, seen } = following([discovery.url], "a")
  await eventually(() => expect(discovery.streams).toHaveLength(1))
  discovery.snapshot("a", [1])
  discovery.synced()
  await eventually(() => expect(ports()).toEqual([1]))
  discovery.send("reset", { why: "restarted", epoch: "f", revision: 0 })
  discovery.snapshot("a", [], 0, "f")
  discovery.synced(0, "f")
  await eventually(() => expect(seen.at(-1)?.instances.map((instance) => [instance.port, instance.standing])).toEqual([[1, "suspect"]]))
})

it("drops services that a watch of everything no longer names", async () => {
  const discovery = await fakeDiscovery()
  const { source, ports } = following([discovery.url], "a")
  const names: string[][] = []
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  void (async () => {
    for await (const list of source.services(stop.signal)) names.push(list)
  })()
  await eventually(() => expect(discovery.streams.at(-1)?.query.has("service")).toBe(false))
  discovery.snapshot("a", [1])
  discovery.snapshot("b", [2])
  discovery.synced(2, "e", { services: ["a", "b"] })
  await eventually(() => expect(names.at(-1)?.sort()).toEqual(["a", "b"]))
  discovery.synced(3, "e", { services: ["b"] })
  await eventually(() => expect([names.at(-1), ports()]).toEqual([["b"], []]))
})

it("says what is wrong with a server that is none of ours", async () => {
  const { url } = await loopbackServer((_request, response) => response.writeHead(404).end("nothing here"))
  const { source } = following([url], "a")
  await eventually(() => expect(source.status().problem).toMatch(/404/))
  expect(source.status().connected).toBe(false)
})

it("leaves a server that does not reach its store for one that does, and stays there", async () => {
  const [stale, sound] = [await fakeDiscovery(), await fakeDiscovery()]
  const { ports, seen } = following([stale.url, sound.url], "a")
  await eventually(() => expect(stale.streams).toHaveLength(1))
  stale.snapshot("a", [1])
  stale.synced()
  await eventually(() => expect([ports(), seen.at(-1)?.stale]).toEqual([[1], undefined]))
  stale.send("stale", { since: 0 })
  await eventually(() => expect(seen.at(-1)?.stale).toBe(true))
  await eventually(() => expect(sound.streams[0]?.lastEventId).toBe("e.1"))
  sound.snapshot("a", [1, 2], 2)
  sound.synced(2)
  await eventually(() => expect([ports(), seen.at(-1)?.stale]).toEqual([[1, 2], undefined]))
  await new Promise((resolve) => setTimeout(resolve, 700))
  expect([stale.streams.length, sound.streams.length]).toEqual([1, 1])
})

it("tries every server once at once when none reaches its store, and stays with the last one until it does", async () => {
  const both = [await fakeDiscovery(), await fakeDiscovery()]
  const { seen } = following(
    both.map(({ url }) => url),
    "a",
  )
  for (const server of both) {
    await eventually(() => expect(server.streams).toHaveLength(1))
    server.snapshot("a", [1])
    server.synced()
    server.send("stale", { since: 0 })
  }
  await new Promise((resolve) => setTimeout(resolve, 1200))
  expect([both.map(({ streams }) => streams.length), seen.at(-1)?.stale]).toEqual([[1, 1], true])
  both[1]?.send("fresh", {})
  await eventually(() => expect(seen.at(-1)?.stale).toBeUndefined())
})

it("stays with the only server there is, stale or not", async () => {
  const only = await fakeDiscovery()
  following([only.url], "a")
  await eventually(() => expect(only.streams).toHaveLength(1))
  only.synced()
  only.send("stale", { since: 0 })
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect(only.streams).toHaveLength(1)
})
