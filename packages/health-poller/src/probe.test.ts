import { createServer, type RequestListener, type Server as HttpServer } from "node:http"
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from "node:net"
import { checkSchema, systemClock } from "@meshwork/contract"
import { afterEach, describe, expect, it, test } from "vitest"
import { createProbe, type ProbeResult, type ProbeTarget } from "./probe.ts"

const probe = createProbe({ clock: systemClock, userAgent: "meshwork-health" })
const servers: { close(): void }[] = []
const sockets = new Set<Socket>()
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

async function listen(server: Server | HttpServer): Promise<number> {
  servers.push(server)
  server.on("connection", (socket: Socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.on("error", () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return (server.address() as AddressInfo).port
}
const http = (listener: RequestListener) => listen(createServer(listener))
const tcp = (listener: (socket: Socket) => void) => listen(createTcpServer(listener))

function ask(port: number, check: object = {}, scheme: ProbeTarget["scheme"] = "http", signal = new AbortController().signal): Promise<ProbeResult> {
  const parsed = checkSchema.parse({ method: "http", path: "/health", timeoutSeconds: 20, ...check })
  return probe({ host: "127.0.0.1", port, scheme, check: parsed }, signal)
}

/** Nobody takes it while a test runs, as somebody might one that was free a moment ago. */
const closedPort = 1

describe("HTTP probe", () => {
  test.each([
    { status: 200, outcome: "active", reason: /^GET http:\/\/127\.0\.0\.1:\d+\/health answered 200 in \d+ ms$/ },
    { status: 204, outcome: "active", reason: /answered 204/ },
    { status: 299, outcome: "active", reason: /answered 299/ },
    { status: 301, outcome: "inactive", reason: /^GET http:\/\/127\.0\.0\.1:\d+\/health answered 301 in \d+ ms; redirects are not followed$/ },
    { status: 404, outcome: "inactive", reason: /^GET http:\/\/127\.0\.0\.1:\d+\/health answered 404 in \d+ ms$/ },
    { status: 500, outcome: "inactive", reason: /^GET http:\/\/127\.0\.0\.1:\d+\/health answered 500 in \d+ ms$/ },
  ])("takes $status as $outcome", async ({ status, outcome, reason }) => {
    const port = await http((_, response) => response.writeHead(status, { location: "http://127.0.0.1:1/" }).end())
    const said = outcome === "active" ? {} : { said: `answered ${status}` }
    expect(await ask(port)).toEqual({ outcome, reason: expect.stringMatching(reason), ...said })
  })

  it("sends path, host and its own User-Agent, and closes the connection each time", async () => {
    const seen: unknown[] = []
    const port = await http(({ url, headers }, response) => {
      seen.push({ url, host: headers.host, agent: headers["user-agent"], connection: headers.connection })
      response.end("ok")
    })
    await ask(port, { path: "/health?deep=1" })
    await ask(port, { path: "/health?deep=1" })
    const one = { url: "/health?deep=1", host: `127.0.0.1:${port}`, agent: "meshwork-health", connection: "close" }
    expect(seen).toEqual([one, one])
    await expect.poll(() => sockets.size).toBe(0)
  })

  it("gives up on a server that accepts and says nothing, not before the time limit and not long after", async () => {
    const port = await http(() => {})
    const begin = performance.now()
    const said = "no answer within 0.2 s"
    expect(await ask(port, { timeoutSeconds: 0.2 })).toEqual({
      outcome: "unreachable",
      reason: `GET http://127.0.0.1:${port}/health got no answer within 0.2 s`,
      said,
      timedOut: true,
    })
    expect(performance.now() - begin).toBeGreaterThanOrEqual(195)
    expect(performance.now() - begin).toBeLessThan(5000)
    await expect.poll(() => sockets.size).toBe(0)
  })

  it("gives up on an answer that trickles for longer than the time limit", async () => {
    const port = await http((_, response) => {
      const timer = setInterval(() => response.write("x"), 20)
      response.on("close", () => clearInterval(timer))
    })
    const said = "answered 200 but did not finish within 2 s"
    expect(await ask(port, { timeoutSeconds: 2 })).toEqual({
      outcome: "unreachable",
      reason: `GET http://127.0.0.1:${port}/health ${said}`,
      said,
      timedOut: true,
    })
  })

  it("reads at most 64 KiB", async () => {
    let written = 0
    const port = await http((_, response) => {
      const more = () => {
        while (!response.destroyed && written < 1e9) {
          written += 65_536
          if (!response.write(Buffer.alloc(65_536))) return void response.once("drain", more)
        }
      }
      more()
    })
    const said = "answered 200 with more than 64 KiB"
    expect(await ask(port)).toEqual({ outcome: "inactive", reason: `GET http://127.0.0.1:${port}/health ${said}`, said })
    expect(written).toBeLessThan(64 * 1024 * 1024)
  })

  it("takes exactly 64 KiB", async () => {
    const port = await http((_, response) => response.end(Buffer.alloc(65_536)))
    expect((await ask(port)).outcome).toBe("active")
  })

  it("names a refused connection", async () => {
    const port = closedPort
    const reason = expect.stringMatching(new RegExp(`^connect to 127\\.0\\.0\\.1:${port} refused after \\d+ ms$`))
    expect(await ask(port)).toEqual({ outcome: "unreachable", reason, said: "connection refused", refused: true })
  })

  it("names a connection reset before an answer and in the middle of one", async () => {
    const before = await tcp((socket) => socket.once("data", () => socket.resetAndDestroy()))
    expect((await ask(before)).reason).toMatch(/was reset after \d+ ms, before an answer$/)
    const during = await tcp((socket) =>
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", () => socket.destroy())),
    )
    const result = await ask(during)
    expect(result.outcome).toBe("unreachable")
    expect(result.reason).toMatch(/was reset after \d+ ms, in the middle of a 200 answer$/)
  })

  it("takes an answer that is not HTTP as inactive", async () => {
    const port = await tcp((socket) => socket.once("data", () => socket.end("SSH-2.0-OpenSSH_9\r\n\r\n")))
    const result = await ask(port)
    expect(result.outcome).toBe("inactive")
    expect(result.reason).toMatch(/answered what is not HTTP/)
  })

  it("passes over informational answers", async () => {
    const port = await tcp((socket) =>
      socket.once("data", () => socket.write("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")),
    )
    expect((await ask(port)).outcome).toBe("active")
  })

  it("says when a server that should speak TLS does not", async () => {
    const port = await http((_, response) => response.end())
    const result = await ask(port, {}, "https")
    expect(result.outcome).toBe("unreachable")
    expect(result.reason).toMatch(/no secure connection to 127\.0\.0\.1/)
  })

  it("ends at once when called off", async () => {
    const port = await http(() => {})
    const controller = new AbortController()
    const asked = ask(port, { timeoutSeconds: 60 }, "http", controller.signal)
    await expect.poll(() => sockets.size).toBe(1)
    controller.abort()
    expect(await asked).toMatchObject({ outcome: "fault" })
    await expect.poll(() => sockets.size).toBe(0)
  })

  it("names a host that does not resolve", async () => {
    const check = checkSchema.parse({ method: "http", path: "/health" })
    const result = await probe({ host: "no-such-host.invalid", port: 80, scheme: "http", check }, new AbortController().signal)
    expect(result).toMatchObject({ outcome: "unreachable", reason: expect.stringContaining("host no-such-host.invalid could not be resolved") })
  })
})

describe("TCP probe", () => {
  it("is used for ping and for scheme tcp, and succeeds when the port accepts", async () => {
    const port = await tcp(() => {})
    const reason = expect.stringMatching(new RegExp(`^connect to 127\\.0\\.0\\.1:${port} took \\d+ ms$`))
    expect(await ask(port, { method: "ping" })).toEqual({ outcome: "active", reason })
    expect(await ask(port, {}, "tcp")).toEqual({ outcome: "active", reason })
    await expect.poll(() => sockets.size).toBe(0)
  })

  it("names a refused connection", async () => {
    const port = closedPort
    expect(await ask(port, { method: "ping" })).toMatchObject({
      outcome: "unreachable",
      reason: expect.stringMatching(/refused after \d+ ms$/),
      refused: true,
    })
  })
})
