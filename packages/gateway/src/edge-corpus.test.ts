import { connect } from "node:net"
import { seededRandom } from "@meshwork/contract/testing"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { corpus } from "./testing/corpus.ts"
import type { EdgeCase } from "./testing/edge-case.ts"
import { recordedEdge } from "./testing/edge.ts"
import type { RecordingBackend } from "./testing/recording-backend.ts"

/** What the gateway says itself, and what frames or places a message. */
const own = /^(?:host|connection|content-length|transfer-encoding|x-forwarded-(?:for|host|proto)|forwarded|via|x-request-(?:timeout|attempt))$/i

let backend: RecordingBackend
let port: number
let close: () => Promise<void>

beforeAll(async () => {
  ;({ backend, port, close } = await recordedEdge())
})

afterAll(() => close())

beforeEach(() => backend.forget())

/** Everything the edge says to these pieces until it ends the connection, or for a moment when it does not. */
function exchange(pieces: readonly Buffer[]): Promise<{ text: string; ended: boolean }> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    let text = ""
    const patience = setTimeout(() => {
      socket.destroy()
      resolve({ text, ended: false })
    }, 1500)
    socket.on("data", (chunk) => (text += chunk.toString("latin1")))
    socket.on("error", () => {})
    socket.on("close", () => {
      clearTimeout(patience)
      resolve({ text, ended: true })
    })
    const rest = [...pieces]
    const more = (): void => {
      const piece = rest.shift()
      if (piece === undefined || !socket.writable) return
      socket.write(piece)
      if (rest.length > 0) setTimeout(more, 1)
    }
    more()
  })
}

/** The bytes cut after the head and at some more places, the same in every run. */
function inPieces({ name, bytes }: EdgeCase): Buffer[] {
  const random = seededRandom(name.length + bytes.length)
  const cuts = new Set(Array.from({ length: 5 }, () => 1 + Math.floor(random() * (bytes.length - 1))))
  const head = bytes.indexOf("\r\n\r\n")
  if (head !== -1) cuts.add(head + 2).add(head + 4)
  const places = [0, ...[...cuts].filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length]
  return places.slice(1).map((place, index) => bytes.subarray(places[index], place))
}

it("names every case once, a hundred and sixty published and several hundred of our own", () => {
  expect(new Set(corpus.map(({ name }) => name)).size).toBe(corpus.length)
  expect(corpus.length).toBeGreaterThan(1300)
})

describe("what must not pass", () => {
  it.each(corpus.filter(({ verdict }) => verdict === "refuse"))("$name", async (refusal) => {
    const { text, ended } = await exchange([refusal.bytes])
    expect([backend.requests, backend.faults, backend.bytes]).toEqual([[], [], 0])
    expect(text === "" || /^HTTP\/1\.1 (400|408|413|417|431|501|505) /.test(text), text).toBe(true)
    expect(ended).toBe(true)
    // What comes late may find its head on the way already; it must never be a whole request.
    const late = await exchange(inPieces(refusal))
    expect([backend.requests, backend.faults]).toEqual([[], []])
    expect(late.text).not.toContain("reached")
    expect(late.ended).toBe(true)
    await expect.poll(() => backend.unfinished).toBe(0)
  })
})

describe("what must pass", () => {
  it.each(corpus.filter(({ verdict }) => verdict === "pass"))("$name", async (passage) => {
    for (const pieces of [[passage.bytes], inPieces(passage)]) {
      backend.forget()
      const { text } = await exchange(pieces)
      expect(text).toMatch(/^(?:HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 200 [^]*\r\n\r\n(?:reached)?$/)
      const { method, url, body = "", host = "edge.test", headers = [], chunked } = passage.expect ?? {}
      const [firstMethod, firstUrl] = passage.bytes.toString("latin1").trimStart().split(" ")
      expect(text.endsWith("reached")).toBe((method ?? firstMethod) !== "HEAD")
      expect(backend.faults).toEqual([])
      expect(backend.requests).toHaveLength(1)
      const seen = backend.requests[0]
      expect(seen).toMatchObject({ method: method ?? firstMethod, target: url ?? firstUrl, body, ...(chunked === undefined ? {} : { chunked }) })
      expect(seen?.headers.filter(([name]) => !own.test(name)).map(([name, value]) => `${name}: ${value}`)).toEqual(headers)
      expect(seen?.headers.find(([name]) => name.toLowerCase() === "host")?.[1]).toBe(host)
    }
  })
})
