import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer as createHttpServer } from "node:http"
import { createServer as createHttpsServer } from "node:https"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { checkSchema, systemClock, systemRandom } from "@meshwork/contract"
import { afterAll, beforeAll, expect, it, vi } from "vitest"
import { createPoller } from "./create-poller.ts"
import type { Poller, PollTarget, Verdict } from "./poller.ts"
import type { ProbeOutcome } from "./probe.ts"

const servers: Server[] = []
const sockets = new Set<Socket>()

async function listen(server: Server): Promise<number> {
  servers.push(server)
  server.on("connection", (socket: Socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return (server.address() as AddressInfo).port
}

const answering = (status: number) => listen(createHttpServer((_, response) => response.writeHead(status, { location: "/" }).end()))

/** Says `piece` over and over, once a second. */
const dripping = (first: string, piece: string, everyMs: number) =>
  listen(
    createServer((socket) => {
      socket.once("data", () => {
        socket.write(first)
        const timer = setInterval(() => socket.write(piece), everyMs)
        socket.on("close", () => clearInterval(timer))
      })
    }),
  )

async function badCertificate(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-poller-"))
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")]
  const made = ["-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-days", "2"]
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", ...made], { stdio: "ignore" })
  const server = createHttpsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) => response.end())
  rmSync(folder, { recursive: true })
  return listen(server)
}

async function refusing(): Promise<number> {
  const server = createServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

interface Fixture {
  port: () => Promise<number>
  scheme?: "https"
  outcome: ProbeOutcome
}

const fixtures: Readonly<Record<string, Fixture>> = {
  "answers 200": { port: () => answering(200), outcome: "active" },
  "answers 204": { port: () => answering(204), outcome: "active" },
  "answers 301": { port: () => answering(301), outcome: "inactive" },
  "answers 404": { port: () => answering(404), outcome: "inactive" },
  "answers 500": { port: () => answering(500), outcome: "inactive" },
  hangs: { port: () => listen(createHttpServer(() => {})), outcome: "unreachable" },
  resets: { port: () => listen(createServer((socket) => socket.once("data", () => socket.resetAndDestroy()))), outcome: "unreachable" },
  "trickles a byte a second": { port: () => dripping("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "x", 1000), outcome: "unreachable" },
  "sends endless headers": { port: () => dripping("HTTP/1.1 200 OK\r\n", `x: ${"y".repeat(4000)}\r\n`, 1), outcome: "inactive" },
  "has a bad certificate": { port: badCertificate, scheme: "https", outcome: "unreachable" },
  refuses: { port: refusing, outcome: "unreachable" },
  "speaks no HTTP": { port: () => listen(createServer((socket) => socket.end("220 mail\r\n"))), outcome: "inactive" },
}

const frequencySeconds = 0.3
const check = checkSchema.parse({ method: "http", path: "/health", frequencySeconds, timeoutSeconds: 2.5 })
const targetOf = (service: string, id: string, port: number, scheme: "http" | "https" = "http"): PollTarget => {
  return { service, id, host: "127.0.0.1", port, scheme, check, health: { status: "unknown", since: 0, reason: "" } }
}

let poller: Poller
const verdicts = new Map<string, Verdict>()
beforeAll(async () => {
  const targets = await Promise.all(Object.entries(fixtures).map(async ([id, { port, scheme }]) => targetOf("odd", id, await port(), scheme)))
  const hole = await listen(createHttpServer(() => {}))
  const well = await listen(createHttpServer((_, response) => response.end("ok")))
  for (let n = 0; n < 400; n++) targets.push(targetOf("dead", `d${n}`, hole))
  for (let n = 0; n < 100; n++) targets.push(targetOf("alive", `a${n}`, well))
  poller = createPoller({ clock: systemClock, random: systemRandom, onVerdict: (verdict) => verdicts.set(verdict.id, verdict) })
  poller.sync(targets)
  const fewest = () => Math.min(...Object.keys(fixtures).map((id) => [...poller.history({ service: "odd", id })].length))
  const alive = () => Math.min(...Array.from({ length: 100 }, (_, n) => [...poller.history({ service: "alive", id: `a${n}` })].length))
  await vi.waitFor(() => expect([fewest() >= 2, alive() >= 5]).toEqual([true, true]), { timeout: 45_000 })
})
afterAll(async () => {
  await poller.close()
  for (const socket of sockets) socket.destroy()
  for (const server of servers) server.close()
})

it.each(Object.entries(fixtures))("a service that %s gets its packets, each like the other", (id, { outcome }) => {
  const packets = [...poller.history({ service: "odd", id })]
  expect(packets.length).toBeGreaterThanOrEqual(2)
  expect(new Set(packets.map((packet) => packet.outcome))).toEqual(new Set([outcome]))
  expect(packets.every(({ said }) => (said === undefined) === (outcome === "active"))).toBe(true)
  expect(verdicts.get(id)?.status).toBe(outcome === "active" ? "passing" : "failing")
})

it("none of them delays the others, nor do hundreds that hang", () => {
  const begin = Math.min(...Array.from({ length: 100 }, (_, n) => [...poller.history({ service: "alive", id: `a${n}` })][0]?.startedAt ?? 0))
  const allGaps: number[] = []
  for (let n = 0; n < 100; n++) {
    const starts = [...poller.history({ service: "alive", id: `a${n}` })].map(({ startedAt }) => startedAt)
    const gaps = starts.slice(1).map((at, index) => at - (starts[index] ?? at))
    expect(starts[0]).toBeLessThan(begin + 5000)
    expect(starts.length).toBeGreaterThan(4)
    allGaps.push(...gaps)
  }
  // A moment in which this machine is busy stretches a few; slots that others hold would stretch them all.
  const sorted = allGaps.toSorted((a, b) => a - b)
  expect(sorted[Math.floor(sorted.length * 0.75)]).toBeLessThan(frequencySeconds * 1000 + 1000)
})
