import { createServer, type IncomingMessage, type Server } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { createPool, createStaticSource } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { createGateway, type Gateway } from "./index.ts"
import { passed, refused } from "./testing/edge-corpus.ts"
import { smuggled } from "./testing/smuggling-corpus.ts"

const all = [...refused, ...passed, ...smuggled]

interface Seen {
  method: string | undefined
  url: string | undefined
  headers: IncomingMessage["headers"]
  body: string
}

let backend: Server
let gateway: Gateway
let port: number
let seen: Seen[] = []

beforeAll(async () => {
  backend = createServer(async (request, response) => {
    let body = ""
    try {
      for await (const chunk of request) body += String(chunk)
    } catch {
      // Broken off by the gateway: the request was never complete.
      return
    }
    seen.push({ method: request.method, url: request.url, headers: request.headers, body })
    response.end("reached")
  })
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve))
  const source = createStaticSource("test")
  source.set("a", [fakeInstance("a", (backend.address() as AddressInfo).port)], 0)
  const pool = createPool({ service: "a", source })
  gateway = createGateway({ routes: [{ match: "prefix", path: "/", service: "a" }], pool: () => pool })
  port = (await gateway.listen({ host: "127.0.0.1", port: 0 })).port
})

afterAll(async () => {
  await gateway.close({ graceMs: 100 })
  backend.closeAllConnections()
  backend.close()
})

beforeEach(() => {
  seen = []
})

/** Everything the edge says until it ends the connection, or for a moment when it does not. */
function exchange(bytes: Buffer): Promise<{ text: string; ended: boolean }> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    let text = ""
    const patience = setTimeout(() => {
      socket.destroy()
      resolve({ text, ended: false })
    }, 1000)
    socket.on("data", (chunk) => (text += chunk.toString("latin1")))
    socket.on("error", () => {})
    socket.on("close", () => {
      clearTimeout(patience)
      resolve({ text, ended: true })
    })
    socket.write(bytes)
  })
}

describe("what must not pass", () => {
  it.each(all.filter(({ verdict }) => verdict === "refuse"))("$name", async ({ bytes }) => {
    const { text, ended } = await exchange(bytes)
    expect(seen).toEqual([])
    expect(text).not.toContain("reached")
    expect(text === "" || /^HTTP\/1\.1 (400|404|408|413|417|431|501|505) /.test(text)).toBe(true)
    expect(ended).toBe(true)
  })
})

describe("what must pass", () => {
  it.each(all.filter(({ verdict }) => verdict === "pass"))("$name", async ({ bytes, expect: expected = {} }) => {
    const { text } = await exchange(bytes)
    expect(text).toMatch(/^(?:HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 200 [\s\S]*reached/)
    const { absent = [], ...rest } = expected
    expect(seen).toMatchObject([rest])
    for (const name of absent) expect(seen[0]?.headers).not.toHaveProperty([name])
  })
})
