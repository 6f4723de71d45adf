import { connect } from "node:net"
import { createPool, createStaticSource } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { seededRandom } from "@meshwork/contract/testing"
import { expect, it, onTestFinished } from "vitest"
import { createGateway } from "./index.ts"
import { corpus } from "./testing/corpus.ts"
import { recordingBackend } from "./testing/recording-backend.ts"

/** More of them by hand: `MESHWORK_FUZZ=100000`, and another `MESHWORK_FUZZ_SEED`. */
const rounds = Number(process.env.MESHWORK_FUZZ ?? 600)
const seed = Number(process.env.MESHWORK_FUZZ_SEED ?? 1)
const small = corpus.filter(({ bytes }) => bytes.length < 2000)
const morsels = [
  "\r\n",
  "\n",
  "\r",
  "\r\n\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ",",
  ";",
  "0\r\n\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Content-Length: 3\r\n",
].concat([
  "Host: b\r\n",
  "Connection: close\r\n",
  "Upgrade: websocket\r\nConnection: upgrade\r\n",
  "Expect: 100-continue\r\n",
  " HTTP/1.1",
  "%2e",
  "/..",
  "\xff",
])

/** One to three requests of the corpus after each other, with some bytes changed, lost, doubled or put in. */
function forge(random: () => number): Buffer[] {
  const upTo = (limit: number): number => Math.floor(random() * limit)
  let text = Array.from({ length: 1 + upTo(3) }, () => small[upTo(small.length)]?.bytes.toString("latin1") ?? "").join("")
  if (random() < 0.5) text = text.replaceAll("Connection: close\r\n", "")
  for (let changes = upTo(4); changes > 0; changes--) {
    const at = upTo(text.length)
    const kind = upTo(4)
    const middle =
      kind === 0
        ? String.fromCharCode(upTo(256))
        : kind === 1
          ? ""
          : kind === 2
            ? text.slice(at, at + upTo(60)).repeat(2)
            : morsels[upTo(morsels.length)]
    text = text.slice(0, at) + middle + text.slice(kind < 2 ? at + 1 : at)
  }
  const bytes = Buffer.from(text, "latin1")
  const cut = upTo(bytes.length)
  return random() < 0.5 ? [bytes] : [bytes.subarray(0, cut), bytes.subarray(cut)]
}

it("whatever is sent, a backend gets nothing but faultless requests, and nothing is left over", { timeout: 30_000 + rounds * 20 }, async () => {
  const backend = await recordingBackend()
  const source = createStaticSource("test")
  source.set("a", [fakeInstance("a", backend.port)], 0)
  const pool = createPool({ service: "a", source })
  const gateway = createGateway({
    routes: [{ match: "prefix", path: "/", service: "a", timeoutMs: 300, idleTimeoutMs: 300 }],
    pool: () => pool,
    settings: { headersTimeoutMs: 300, keepAliveTimeoutMs: 100 },
  })
  onTestFinished(async () => {
    await gateway.close({ graceMs: 0 })
    await backend.close()
  })
  const { port } = await gateway.listen({ host: "127.0.0.1", port: 0 })
  const random = seededRandom(seed)
  const send = (pieces: readonly Buffer[]): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true })
      const patience = setTimeout(() => socket.destroy(), 40 + 200 * random())
      socket.resume()
      socket.on("error", () => {})
      socket.on("close", () => {
        clearTimeout(patience)
        resolve()
      })
      const [first = Buffer.alloc(0), second] = pieces
      socket.write(first)
      if (second) setTimeout(() => socket.writable && socket.write(second), 2)
    })
  let left = rounds
  let reached = 0
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const pieces = forge(random)
      await send(pieces)
      expect(backend.faults, JSON.stringify(pieces.map(String))).toEqual([])
      expect(backend.requests.filter(({ target }) => /\/\.\.?(?:\/|$)|[\0-\x20#\\]/.test(target.split("?", 1)[0] ?? ""))).toEqual([])
      reached += backend.requests.length
      backend.forget()
    }
  }
  await Promise.all(Array.from({ length: 20 }, worker))
  expect(reached).toBeGreaterThan(rounds / 20)
  const open = (): Promise<number> => new Promise((resolve) => gateway.server.getConnections((_error, count) => resolve(count)))
  await expect.poll(async () => [gateway.inFlight, backend.unfinished, await open()]).toEqual([0, 0, 0])
})
