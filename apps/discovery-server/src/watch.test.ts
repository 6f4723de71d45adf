import { connect } from "node:net"
import { ManualClock } from "@meshwork/contract/testing"
import { describe, expect, it, onTestFinished } from "vitest"
import { startServer, subscribe, type Subscriber } from "./testing/server-bench.ts"

const path = (service: string, id: string) => `/v1/services/${service}/instances/${id}`
const put = (port: number) => ({ method: "PUT", body: { host: "10.0.0.7", port } })
const names = (subscriber: Subscriber) => subscriber.events.map(({ event }) => event)
const last = (subscriber: Subscriber) => subscriber.events.at(-1)

describe("a watch", () => {
  it("begins with a snapshot and `synced`, and goes on with changes", async () => {
    const { call, url } = await startServer()
    await call(path("payment", "a"), put(9000))
    const watcher = await subscribe(`${url}/v1/watch?service=payment`)
    expect(watcher).toMatchObject({ status: 200, headers: { "content-type": "text/event-stream", "cache-control": "no-store" } })
    await expect.poll(() => names(watcher)).toEqual(["snapshot", "synced"])
    expect(watcher.events[0]?.data).toMatchObject({ service: "payment", instances: [{ id: "a", standing: "serving" }] })
    await call(path("payment", "b"), put(9001))
    await expect.poll(() => last(watcher)).toMatchObject({ event: "change", data: { service: "payment", upserted: [{ id: "b" }], removed: [] } })
    await call(path("payment", "a"), { method: "DELETE" })
    await expect.poll(() => last(watcher)).toMatchObject({ event: "change", data: { upserted: [], removed: [{ id: "a", why: expect.any(String) }] } })
  })

  it("of several services hears of those and no other", async () => {
    const { call, url } = await startServer()
    const watcher = await subscribe(`${url}/v1/watch?service=payment&service=orders`)
    await expect.poll(() => names(watcher)).toContain("synced")
    await call(path("other", "x"), put(1))
    await call(path("orders", "o"), put(9100))
    await expect.poll(() => last(watcher)).toMatchObject({ data: { service: "orders", revision: 2 } })
    expect(watcher.events.some(({ data }) => "service" in data && data.service === "other")).toBe(false)
  })

  it("without a service hears of all, and `synced` names them", async () => {
    const { call, url } = await startServer()
    await call(path("payment", "a"), put(9000))
    await call(path("orders", "o"), put(9100))
    const watcher = await subscribe(`${url}/v1/watch`)
    await expect.poll(() => last(watcher)?.event).toBe("synced")
    expect(last(watcher)?.data).toMatchObject({ services: expect.toSatisfy((names: string[]) => names.toSorted().join() === "orders,payment") })
  })

  it("resumes at Last-Event-ID with only what changed since", async () => {
    const { call, url } = await startServer()
    await call(path("payment", "a"), put(9000))
    await call(path("orders", "o"), put(9100))
    const first = await subscribe(`${url}/v1/watch?service=payment&service=orders`)
    await expect.poll(() => names(first)).toContain("synced")
    const id = first.lastId() ?? ""
    expect(id).toMatch(/^[^.]+\.2$/)
    first.close()
    await call(path("payment", "b"), put(9001))
    const second = await subscribe(`${url}/v1/watch?service=payment&service=orders`, { "last-event-id": id })
    await expect.poll(() => names(second)).toContain("synced")
    const told = second.events.filter(({ event }) => event === "snapshot" || event === "change")
    expect(told).toHaveLength(1)
    expect(told[0]?.data).toMatchObject({ service: "payment" })
    expect(second.lastId()).toMatch(/\.3$/)
  })

  it("with a token of another epoch begins with `reset`", async () => {
    const { call, url } = await startServer()
    await call(path("payment", "a"), put(9000))
    const watcher = await subscribe(`${url}/v1/watch?service=payment`, { "last-event-id": "another-epoch.1" })
    await expect.poll(() => names(watcher)).toEqual(["reset", "snapshot", "synced"])
  })

  it("reaches every watcher, and is forgotten when one goes away", async () => {
    const { call, url } = await startServer()
    const [one, two] = await Promise.all([subscribe(`${url}/v1/watch?service=payment`), subscribe(`${url}/v1/watch?service=payment`)])
    await expect.poll(() => [names(one).includes("synced"), names(two).includes("synced")]).toEqual([true, true])
    one.close()
    await call(path("payment", "a"), put(9000))
    await expect.poll(() => last(two)).toMatchObject({ event: "change", data: { upserted: [{ id: "a" }] } })
    expect(names(one)).not.toContain("change")
  })

  it("tells a subscriber that stopped reading the last state once it reads again", async () => {
    const { call, url } = await startServer()
    const watcher = await subscribe(`${url}/v1/watch?service=payment`)
    await expect.poll(() => names(watcher)).toContain("synced")
    watcher.pause()
    const note = "x".repeat(15_000)
    for (let round = 0; round < 5; round++) {
      const calls = Array.from({ length: 60 }, (_, n) =>
        call(path("payment", `i${n}`), { method: "PUT", body: { host: "10.0.0.7", port: 9000 + n, tags: { note, round } } }),
      )
      await Promise.all(calls)
    }
    watcher.resume()
    const { revision } = (await call("/v1/services/payment/instances")).json
    await expect.poll(() => watcher.lastId()?.split(".").at(-1)).toBe(String(revision))
  })

  it("says every 15 s that it lives, with the same position", async () => {
    const clock = new ManualClock()
    const { url } = await startServer({ clock })
    const watcher = await subscribe(`${url}/v1/watch`)
    await expect.poll(() => names(watcher)).toEqual(["synced"])
    const id = watcher.lastId()
    for (const expected of [1, 2, 3]) {
      await clock.advance(15_000)
      await expect.poll(() => watcher.keepAlives()).toBeGreaterThanOrEqual(expected)
    }
    expect(watcher.lastId()).toBe(id)
    expect(names(watcher)).toEqual(["synced"])
  })

  it("is cut when its subscriber takes nothing of what waits for a minute", async () => {
    const clock = new ManualClock()
    const { call, url } = await startServer({ clock, limits: { watchers: 2 } })
    const tags = { note: "x".repeat(16_000) }
    await Promise.all(
      Array.from({ length: 800 }, (_, n) =>
        call(path("payment", `i${n}`), { method: "PUT", body: { host: "10.0.0.7", port: 9000 + n, tags, ttlSeconds: 0 } }),
      ),
    )
    const deaf = connect(Number(new URL(url).port), "127.0.0.1", () => deaf.write("GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n"))
    deaf.on("error", () => {})
    onTestFinished(() => void deaf.destroy())
    await new Promise((resolve) => deaf.once("readable", resolve))
    expect((await call("/v1/watch")).status).toBe(429)
    await clock.advance(50_000)
    expect((await call("/v1/watch")).status).toBe(429)
    await clock.advance(30_000)
    const next = await subscribe(`${url}/v1/watch?service=other`)
    expect(next.status).toBe(200)
  })

  it("is refused beyond the limit with a problem body", async () => {
    const { call, url } = await startServer({ limits: { watchers: 2 } })
    // One of the two is the server's own.
    const first = await subscribe(`${url}/v1/watch`)
    expect(first.status).toBe(200)
    expect(await call("/v1/watch")).toMatchObject({ status: 429, json: { code: "limit_exceeded" } })
  })

  it("speaks HTTP/1.0 and pipelining too", async () => {
    const { call, url } = await startServer()
    await call(path("payment", "a"), put(9000))
    const read = (bytes: string): Promise<string> =>
      new Promise((resolve, reject) => {
        let text = ""
        const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(bytes))
        socket.on("data", (chunk) => {
          text += String(chunk)
          if (text.includes("event: synced")) socket.destroy()
        })
        socket.on("close", () => resolve(text))
        socket.on("error", reject)
      })
    const old = await read("GET /v1/watch?service=payment HTTP/1.0\r\n\r\n")
    expect(old).toMatch(/\r\n\r\nevent: snapshot\ndata: \{/)
    const piped = await read("GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/watch?service=payment HTTP/1.1\r\nHost: x\r\n\r\n")
    expect(piped).toMatch(/Discovery Server running[^]*text\/event-stream[^]*event: snapshot\ndata: \{/)
  })
})

describe("closing", () => {
  it("ends every watch in order and does not wait for those who do not read", async () => {
    const server = await startServer()
    const watcher = await subscribe(`${server.url}/v1/watch`)
    const deaf = await subscribe(`${server.url}/v1/watch`)
    await expect.poll(() => names(watcher)).toContain("synced")
    deaf.pause()
    const begin = performance.now()
    await server.close()
    expect(performance.now() - begin).toBeLessThan(4000)
    await expect.poll(() => watcher.ended()).toBe(true)
    await server.close()
  })
})
