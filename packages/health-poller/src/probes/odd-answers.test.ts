import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer as createTlsServer } from "node:https"
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { checkSchema, systemClock } from "@meshwork/contract"
import { afterEach, expect, it } from "vitest"
import { createProbe, type ProbeResult, type ProbeTarget } from "../probe.ts"

const probe = createProbe({ clock: systemClock, userAgent: "meshwork-health" })
const servers = new Set<Server>()
const sockets = new Set<Socket>()
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers) server.close()
  servers.clear()
})

async function listen(server: Server): Promise<number> {
  servers.add(server)
  server.on("connection", (socket: Socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return (server.address() as AddressInfo).port
}

function ask(port: number, check: object = {}, scheme: ProbeTarget["scheme"] = "http"): Promise<ProbeResult> {
  const parsed = checkSchema.parse({ method: "http", path: "/health", timeoutSeconds: 0.5, ...check })
  return probe({ host: "127.0.0.1", port, scheme, check: parsed }, new AbortController().signal)
}

/** A server that begins with `first` and then sends `piece` for as long as it is let. */
const drip = (first: string, piece: string, everyMs: number) =>
  listen(
    createServer((socket) => {
      socket.once("data", () => {
        socket.write(first)
        const timer = setInterval(() => socket.write(piece), everyMs)
        socket.on("close", () => clearInterval(timer))
      })
    }),
  )

it.each<[string, string, string, number, ProbeResult["outcome"], RegExp]>([
  ["endless headers, quickly", "HTTP/1.1 200 OK\r\n", `x-more: ${"y".repeat(2000)}\r\n`, 1, "inactive", /^answered with too many headers$/],
  ["endless headers, one at a time", "HTTP/1.1 200 OK\r\n", "x: y\r\n", 20, "unreachable", /^no answer within 0\.5 s$/],
  ["a head that trickles byte by byte", "HTTP/1.1 200 OK\r\nx: ", "y", 20, "unreachable", /^no answer within 0\.5 s$/],
  [
    "informational answers without end",
    "",
    "HTTP/1.1 100 Continue\r\n\r\n",
    5,
    "unreachable",
    /^(no answer within 0\.5 s|connection reset before an answer)$/,
  ],
  ["a body that trickles", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "x", 20, "unreachable", /^answered 200 but did not finish within/],
  ["a chunk size that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "", 50, "inactive", /^answered what is not HTTP$/],
  [
    "two lengths that differ",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "",
    50,
    "inactive",
    /^answered what is not HTTP$/,
  ],
])("takes %s as what it is, within the time limit", async (_title, first, piece, everyMs, outcome, said) => {
  const port = await drip(first, piece, everyMs)
  const begin = performance.now()
  // Only who is to run into the limit has little time.
  const timeoutSeconds = outcome === "inactive" ? 20 : first.includes("Content-Length") ? 2 : 0.5
  expect(await ask(port, { timeoutSeconds })).toMatchObject({ outcome, said: expect.stringMatching(said) })
  expect(performance.now() - begin).toBeLessThan(8000)
  await expect.poll(() => sockets.size).toBe(0)
})

it("takes a connection that is closed without an answer as unreachable", async () => {
  const port = await listen(createServer((socket) => socket.end()))
  expect(await ask(port)).toMatchObject({ outcome: "unreachable", said: "connection reset before an answer" })
})

it("waits for a TLS handshake no longer than for an answer", async () => {
  const port = await listen(createServer(() => {}))
  expect(await ask(port, {}, "https")).toMatchObject({ outcome: "unreachable", reason: expect.stringContaining("TLS handshake"), timedOut: true })
})

it("says nothing about the network after talking to this very machine", async () => {
  const port = await listen(createServer((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")))
  expect(await ask(port)).not.toHaveProperty("network")
  expect(await ask(port, { method: "ping" })).not.toHaveProperty("network")
})

it("refuses a certificate nobody vouches for, and takes it with `insecure`", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-probe-"))
  const [keyFile, certFile] = [join(folder, "key.pem"), join(folder, "cert.pem")]
  const subject = ["-subj", "/CN=somebody.else", "-days", "2"]
  execFileSync(
    "openssl",
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", keyFile, "-out", certFile, ...subject],
    {
      stdio: "ignore",
    },
  )
  const server = createTlsServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, (_, response) => response.end("ok"))
  const port = await listen(server)
  rmSync(folder, { recursive: true })
  expect(await ask(port, {}, "https")).toMatchObject({
    outcome: "unreachable",
    reason: expect.stringMatching(/^no secure connection to 127\.0\.0\.1:\d+ after \d+ ms: DEPTH_ZERO_SELF_SIGNED_CERT$/),
  })
  expect(await ask(port, { insecure: true }, "https")).toMatchObject({ outcome: "active" })
})
