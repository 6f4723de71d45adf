import { getEventListeners } from "node:events"
import { expect, it, onTestFinished } from "vitest"
import { constantDelay } from "../delays/delay.ts"
import { parallel, sequential, single, type Strategy } from "../strategies/strategy.ts"
import { loopbackServer } from "../testing/loopback-server.ts"
import { createClient } from "./fixed-endpoint.ts"

const each = 2500
const atOnce = 50

/** Timers and sockets of this process that keep something alive. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

it("10,000 aborts in the middle of an answer, a body, a back-off and a hedge leave nothing behind", { timeout: 180_000 }, async () => {
  let open = 0
  const server = await loopbackServer((request, response) => {
    open++
    response.on("close", () => open--)
    if (request.url === "/refusing") return void response.writeHead(503).end()
    if (request.url === "/body") {
      response.writeHead(200, { "content-length": 1_000_000 })
      response.write("x".repeat(1000))
    }
  })
  const client = createClient({ endpoint: server.url, retryBudget: false, timeoutMs: 60_000 })
  onTestFinished(() => client.close())
  const shared = new AbortController()
  const phases: { path: string; strategy: Strategy; reads: boolean }[] = [
    { path: "/silent", strategy: single(), reads: false },
    { path: "/body", strategy: single(), reads: true },
    { path: "/refusing", strategy: sequential({ delay: constantDelay(30_000) }), reads: false },
    { path: "/silent", strategy: parallel({ attempts: 3, delay: constantDelay(1) }), reads: false },
  ]
  const before = resources()
  const codes = new Map<string, number>()
  for (const { path, strategy, reads } of phases) {
    let left = each
    const worker = async (): Promise<void> => {
      while (left-- > 0) {
        const own = new AbortController()
        const signal = AbortSignal.any([own.signal, shared.signal])
        const call = client.get(path, { signal, strategy }).then(async (response) => (reads ? response.text() : undefined))
        setTimeout(() => own.abort(), 3)
        const code = await call.then(
          () => "answered",
          (error: { code: string }) => error.code,
        )
        codes.set(code, (codes.get(code) ?? 0) + 1)
        expect(getEventListeners(signal, "abort")).toHaveLength(0)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
  }
  expect([...codes]).toEqual([["aborted", phases.length * each]])
  await expect.poll(() => open).toBe(0)
  expect(getEventListeners(shared.signal, "abort")).toHaveLength(0)
  const grown = (kind: string): number => (resources()[kind] ?? 0) - (before[kind] ?? 0)
  await expect.poll(() => grown("Timeout")).toBeLessThan(5)
  // A connection that was still being made when its call gave up is closed 4 s after it stands; those of use again are kept. Both ends are in this process.
  await expect.poll(() => grown("TCPSocketWrap"), { timeout: 20_000 }).toBeLessThan(2 * atOnce + 5)
})
