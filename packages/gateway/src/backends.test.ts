import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { ManualClock } from "@meshwork/contract/testing"
import { expect, it, onTestFinished } from "vitest"
import { readBeforeGoing } from "./backends.ts"

/** A connection to a server that does as told once it is heard. */
async function connection(answer: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on("error", () => {}).once("data", () => answer(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1")
  onTestFinished(() => {
    socket.destroy()
    server.close()
  })
  await new Promise((resolve) => socket.once("connect", resolve))
  const clock = new ManualClock()
  readBeforeGoing(socket, clock)
  const seen: string[] = []
  socket.on("data", (chunk) => seen.push(String(chunk)))
  socket.on("error", (error) => seen.push(error.message))
  const closed = new Promise((resolve) => socket.on("close", resolve))
  return { socket, clock, seen, closed }
}

const broken = (syscall: string): Error => Object.assign(new Error(`${syscall} failed`), { syscall })

it("what a backend said is read before a write that failed ends the connection", async () => {
  const { socket, seen, closed, clock } = await connection((peer) => peer.end("last words"))
  socket.write("x")
  socket.destroy(broken("write"))
  expect(socket.destroyed).toBe(false)
  await closed
  expect([seen, clock.pendingTimers]).toEqual([["last words", "write failed"], 0])
})

it("a backend that says nothing more is waited for a tenth of a second", async () => {
  const { socket, seen, closed, clock } = await connection(() => {})
  socket.destroy(broken("write"))
  await clock.advance(99)
  expect(socket.destroyed).toBe(false)
  await clock.advance(1)
  await closed
  expect(seen).toEqual(["write failed"])
})

it.each([
  ["a read that failed", broken("read")],
  ["an end without a fault", undefined],
])("%s ends the connection at once", async (_name, error) => {
  const { socket, clock } = await connection(() => {})
  socket.destroy(error)
  expect([socket.destroyed, clock.pendingTimers]).toEqual([true, 0])
})
