import type { WatchFrame } from "@meshwork/registry-core"
import { expect, it, test } from "vitest"
import { eventBytes, keepAliveBytes } from "./sse-chunks.ts"

const text = (parts: readonly Buffer[]) => Buffer.concat(parts).toString()

test.each([{ length: 10 }, { length: 16 * 1024 + 1 }])("an event of $length bytes is one HTTP chunk", ({ length }) => {
  const json = Buffer.from(JSON.stringify("ä".repeat(length / 2)))
  const frame: WatchFrame = { event: "change", json, token: { epoch: "e1", revision: 7 } }
  const plain = `id: e1.7\nevent: change\ndata: ${json.toString()}\n\n`
  expect(text(eventBytes(frame).plain)).toBe(plain)
  expect(text(eventBytes(frame).framed)).toBe(`${Buffer.byteLength(plain).toString(16)}\r\n${plain}\r\n`)
})

it("makes the bytes of a frame once, without an id in the middle of a round", () => {
  const frame: WatchFrame = { event: "snapshot", json: Buffer.from("{}") }
  expect(eventBytes(frame)).toBe(eventBytes(frame))
  expect(text(eventBytes(frame).plain)).toBe("event: snapshot\ndata: {}\n\n")
})

it("keeps alive with the position, or with a comment before there is one", () => {
  expect(text(keepAliveBytes({ epoch: "e", revision: 3 }).framed)).toBe("9\r\nid: e.3\n\n\r\n")
  expect(text(keepAliveBytes(undefined).plain)).toBe(": keep-alive\n\n")
})
