import { createServer, type Server, type Socket } from "node:net"
import type { AddressInfo } from "node:net"
import { systemClock } from "@meshwork/contract"
import { ManualClock } from "@meshwork/contract/testing"
import { afterEach, expect, it, vi } from "vitest"
import { Listening } from "./listening.ts"

const host = "127.0.0.1"
const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** What accepts and then does this with the connection. */
async function accepting(handle: (socket: Socket) => void, port = 0): Promise<{ port: number; accepted: () => number; close: () => void }> {
  const sockets = new Set<Socket>()
  let accepted = 0
  const server: Server = createServer((socket) => {
    accepted++
    sockets.add(socket.on("error", () => {}))
    handle(socket)
  })
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  const close = (): void => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  closers.push(close)
  return { port: (server.address() as AddressInfo).port, accepted: () => accepted, close }
}

function follow(clock = systemClock): { listening: Listening; changed: () => number } {
  const changed = vi.fn<() => void>()
  const listening = new Listening(clock, changed)
  closers.push(() => listening.close())
  return { listening, changed: () => changed.mock.calls.length }
}

const poll = { interval: 10 }

it.each<[string, (socket: Socket) => void]>([
  ["keeps a connection open", () => {}],
  ["speaks first and hangs up", (socket) => socket.end("220 ready\r\n")],
])("what %s listens, and is told once", async (_, handle) => {
  const { port, accepted } = await accepting(handle)
  const { listening, changed } = follow()
  listening.sync([{ identity: "one", host, port }])
  expect(listening.has("one")).toBe(false)
  await expect.poll(() => listening.has("one"), poll).toBe(true)
  listening.sync([{ identity: "one", host, port }])
  await new Promise((resolve) => setTimeout(resolve, 250))
  expect([accepted(), changed()]).toEqual([1, 1])
})

it("a proxy that accepts and hangs up is nobody, until somebody is behind it", async () => {
  let behind = false
  const { port, accepted } = await accepting((socket) => void (behind || socket.destroy()))
  const { listening } = follow()
  listening.sync([{ identity: "one", host, port }])
  await expect.poll(accepted, poll).toBeGreaterThan(2)
  expect(listening.has("one")).toBe(false)
  behind = true
  await expect.poll(() => listening.has("one"), poll).toBe(true)
})

it("a port that refuses is tried again, until somebody takes it", async () => {
  const first = await accepting(() => {})
  first.close()
  const { listening } = follow()
  listening.sync([{ identity: "one", host, port: first.port }])
  await new Promise((resolve) => setTimeout(resolve, 250))
  expect(listening.has("one")).toBe(false)
  await accepting(() => {}, first.port)
  await expect.poll(() => listening.has("one"), poll).toBe(true)
})

it("another process at the same address is looked at anew, and who is gone no more", async () => {
  const { port, accepted } = await accepting((socket) => void socket.destroy())
  const { listening } = follow()
  listening.sync([{ identity: "first run", host, port }])
  await expect.poll(accepted, poll).toBeGreaterThan(0)
  const first = accepted()
  listening.sync([{ identity: "second run", host, port }])
  await expect.poll(accepted, poll).toBeGreaterThan(first + 1)
  listening.close()
  await new Promise((resolve) => setTimeout(resolve, 50))
  const until = accepted()
  await new Promise((resolve) => setTimeout(resolve, 250))
  expect(accepted()).toBe(until)
})

it("who cannot be judged within ten seconds is used all the same", async () => {
  const clock = new ManualClock()
  const timer = vi.spyOn(clock, "timer")
  const { port, accepted } = await accepting((socket) => void socket.destroy())
  const { listening, changed } = follow(clock)
  listening.sync([{ identity: "one", host, port }])
  // It has seen that it was hung up on when it waits for its next try.
  const waits = () => expect.poll(() => timer.mock.lastCall?.[0], poll).toBe(100)
  await waits()
  for (let tries = 1; tries < 5; tries++) {
    expect(accepted()).toBe(tries)
    await clock.advance(100)
    await waits()
  }
  expect(listening.has("one")).toBe(false)
  await clock.advance(10_000)
  await expect.poll(() => listening.has("one"), poll).toBe(true)
  expect(changed()).toBe(1)
})

it("a hundred at once are tried thirty-two at a time", async () => {
  const clock = new ManualClock()
  const timer = vi.spyOn(clock, "timer")
  const { port, accepted } = await accepting(() => {})
  const { listening } = follow(clock)
  const all = Array.from({ length: 100 }, (_, n) => ({ identity: `${n}`, host, port }))
  listening.sync(all)
  // Each is watched for 60 ms from when it is connected.
  const connected = () => timer.mock.calls.filter(([ms]) => ms === 60).length
  for (const tried of [32, 64, 96, 100]) {
    await expect.poll(() => [connected(), accepted()], poll).toEqual([tried, tried])
    expect(all.filter(({ identity }) => listening.has(identity))).toHaveLength(tried === 100 ? 96 : tried - 32)
    await clock.advance(60)
  }
  expect(all.every(({ identity }) => listening.has(identity))).toBe(true)
})
