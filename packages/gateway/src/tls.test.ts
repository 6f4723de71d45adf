import { createServer } from "node:http"
import { Agent, createServer as createSecureServer, request as secureRequest } from "node:https"
import { type AddressInfo, connect as connectTcp } from "node:net"
import { connect, type PeerCertificate, type TLSSocket } from "node:tls"
import { createPool, createStaticSource } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { expect, it, onTestFinished } from "vitest"
import { createGateway, type GatewayOptions, type KeyPair } from "./index.ts"
import { testAuthority } from "./testing/certificates.ts"

async function listening(server: ReturnType<typeof createServer> | ReturnType<typeof createSecureServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function edge(backend: { port: number; scheme?: "http" | "https"; host?: string }, options: Partial<GatewayOptions> = {}) {
  const source = createStaticSource("test")
  const { port: backendPort, scheme = "http", host = "127.0.0.1" } = backend
  source.set("a", [fakeInstance("a", backendPort, { scheme, host })], 0)
  const pool = createPool({ service: "a", source })
  const gateway = createGateway({ routes: [{ match: "prefix", path: "/", service: "a" }], pool: () => pool, ...options })
  onTestFinished(async () => {
    await gateway.close({ graceMs: 0 })
    await pool.close()
  })
  return { port: (await gateway.listen({ host: "127.0.0.1", port: 0 })).port, gateway, source }
}

interface Answer {
  status: number
  text: string
  serial: string
  protocol: string | null
}

const agent = new Agent({ keepAlive: true })

async function get(port: number, ca: string, options: { agent?: Agent | false; headers?: Record<string, string> } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = secureRequest({ port, host: "127.0.0.1", ca, agent: false, ...options }, (response) => {
      const socket = response.socket as TLSSocket
      const certificate: PeerCertificate = socket.getPeerCertificate()
      let text = ""
      response.on("data", (chunk: Buffer) => (text += chunk.toString()))
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text, serial: certificate.serialNumber, protocol: socket.alpnProtocol as string | null }),
      )
    })
    request.on("error", reject).end()
  })
}

const echo = () => createServer((request, response) => response.end(JSON.stringify(request.headers)))

it("speaks HTTP/1.1 over TLS, and says so to the backend", async () => {
  const { ca, issue } = testAuthority()
  const { port } = await edge({ port: await listening(echo()) }, { tls: issue("IP:127.0.0.1") })
  const { status, text } = await get(port, ca)
  expect([status, (JSON.parse(text) as Record<string, string>)["x-forwarded-proto"]]).toEqual([200, "https"])
  const socket = connect({ port, host: "127.0.0.1", ca, ALPNProtocols: ["h2", "http/1.1"] })
  onTestFinished(() => void socket.destroy())
  await new Promise((resolve) => socket.once("secureConnect", resolve))
  expect(socket.alpnProtocol).toBe("http/1.1")
  const refused = connect({ port, host: "127.0.0.1", ca, ALPNProtocols: ["h2"] })
  expect(await new Promise((resolve) => refused.once("error", (error: NodeJS.ErrnoException) => resolve(error.code)))).toMatch(
    /ALPN|NO_APPLICATION_PROTOCOL/,
  )
})

it("refuses TLS 1.1 and plain HTTP, and goes on", async () => {
  const { ca, issue } = testAuthority()
  const { port } = await edge({ port: await listening(echo()) }, { tls: issue("IP:127.0.0.1") })
  const old = connect({ port, host: "127.0.0.1", ca, minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" })
  expect(await new Promise((resolve) => old.once("error", () => resolve("refused")).once("secureConnect", () => resolve("accepted")))).toBe("refused")
  const plain = connectTcp(port, "127.0.0.1")
  let heard = ""
  plain.on("data", (chunk) => (heard += chunk.toString("latin1"))).on("error", () => {})
  plain.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
  await new Promise((resolve) => plain.once("close", resolve))
  expect(heard).not.toContain("200 OK")
  expect((await get(port, ca)).status).toBe(200)
})

it("shows another certificate from the next connection on, keeps what is open, and keeps the old one where the new pair does not fit", async () => {
  const { ca, issue } = testAuthority()
  const [first, second] = [issue("IP:127.0.0.1"), issue("IP:127.0.0.1")]
  const { port, gateway } = await edge({ port: await listening(echo()) }, { tls: first })
  onTestFinished(() => agent.destroy())
  expect((await get(port, ca, { agent })).serial).toBe("01")
  gateway.setTls(second)
  expect((await get(port, ca)).serial).toBe("02")
  expect((await get(port, ca, { agent })).serial).toBe("01")
  const wrong: KeyPair[] = [
    { cert: first.cert, key: second.key },
    { cert: "nonsense", key: second.key },
    { cert: "", key: "" },
  ]
  for (const pair of wrong) expect(() => gateway.setTls(pair)).toThrow()
  expect((await get(port, ca)).serial).toBe("02")
})

it("switches protocols over TLS", async () => {
  const { ca, issue } = testAuthority()
  const backend = createServer().on("upgrade", (_request, socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    socket.pipe(socket)
  })
  const { port } = await edge({ port: await listening(backend) }, { tls: issue("IP:127.0.0.1") })
  const socket = connect({ port, host: "127.0.0.1", ca })
  onTestFinished(() => void socket.destroy())
  let heard = ""
  socket.on("data", (chunk: Buffer) => (heard += chunk.toString("latin1")))
  socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n")
  await expect.poll(() => heard).toMatch(/^HTTP\/1\.1 101 /)
  socket.write("over and over")
  await expect.poll(() => heard).toMatch(/\r\n\r\nover and over$/)
})

it("ends at once although somebody never finished the handshake", async () => {
  const { issue } = testAuthority()
  const { port, gateway } = await edge({ port: await listening(echo()) }, { tls: issue("IP:127.0.0.1") })
  const silent = connectTcp(port, "127.0.0.1")
  silent.on("error", () => {})
  await new Promise((resolve) => silent.once("connect", resolve))
  await expect.poll(() => new Promise((resolve) => gateway.server.getConnections((_error, count) => resolve(count)))).toBe(1)
  const begin = performance.now()
  await gateway.close()
  expect(performance.now() - begin).toBeLessThan(4000)
})

const secured = (pair: KeyPair) =>
  createSecureServer(pair, (request, response) =>
    response.end(JSON.stringify({ host: request.headers.host, sni: (request.socket as TLSSocket).servername })),
  )

async function ask(port: number, host = "shop.test"): Promise<{ status: number; body: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, "127.0.0.1")
    let text = ""
    socket.on("data", (chunk) => (text += chunk.toString("latin1"))).on("error", reject)
    socket.on("close", () =>
      resolve({ status: Number(text.slice(9, 12)), body: JSON.parse(text.slice(text.indexOf("\r\n\r\n"))) as Record<string, unknown> }),
    )
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  })
}

it("believes an https instance only with a certificate of a known authority, for the instance's own host", async () => {
  const { ca, issue } = testAuthority()
  const backend = { port: await listening(secured(issue("IP:127.0.0.1"))), scheme: "https" as const }
  const unknown = await ask((await edge(backend)).port)
  expect(unknown).toMatchObject({ status: 502, body: { code: "connection_failed", why: expect.stringContaining("certificate") } })
  expect(await ask((await edge(backend, { upstreamTls: () => ({ ca }) })).port)).toMatchObject({ status: 200, body: { host: "shop.test" } })
  expect((await ask((await edge(backend, { upstreamTls: (service) => (service === "b" ? { ca } : undefined) })).port)).status).toBe(502)
  expect((await ask((await edge(backend, { upstreamTls: () => ({ insecure: true }) })).port)).status).toBe(200)
})

it("the Host of a caller does not decide whose certificate is right", async () => {
  const { ca, issue } = testAuthority()
  const backend = { port: await listening(secured(issue("DNS:shop.test"))), scheme: "https" as const }
  expect(await ask((await edge(backend, { upstreamTls: () => ({ ca }) })).port)).toMatchObject({
    status: 502,
    body: { why: expect.stringContaining("127.0.0.1") },
  })
  const named = (await edge(backend, { upstreamTls: () => ({ ca, serverName: "shop.test" }) })).port
  expect(await ask(named, "other.test")).toMatchObject({ status: 200, body: { host: "other.test", sni: "shop.test" } })
  const byName = { ...backend, host: "localhost" }
  const { port } = await edge({ ...byName, port: await listening(secured(issue("DNS:localhost"))) }, { upstreamTls: () => ({ ca }) })
  expect(await ask(port)).toMatchObject({ status: 200, body: { sni: "localhost" } })
})

it("judges anew when told to, and follows an instance that changes to https", async () => {
  const { ca, issue } = testAuthority()
  const [plain, secure] = [await listening(echo()), await listening(secured(issue("IP:127.0.0.1")))]
  let believed: string | undefined
  const { port, gateway, source } = await edge({ port: plain }, { upstreamTls: () => ({ ca: believed }) })
  expect((await ask(port)).status).toBe(200)
  source.set("a", [fakeInstance("a", secure, { scheme: "https" })], 1)
  await expect.poll(async () => (await ask(port)).status).toBe(502)
  believed = ca
  expect((await ask(port)).status).toBe(502)
  gateway.renewUpstreamTls()
  expect(await ask(port)).toMatchObject({ status: 200, body: { sni: false } })
  source.set("a", [fakeInstance("a", secure, { scheme: "http" })], 2)
  await expect.poll(async () => (await ask(port)).status).toBe(502)
  source.set("a", [fakeInstance("a", secure, { scheme: "https" })], 3)
  await expect.poll(async () => (await ask(port)).status).toBe(200)
})
