import { createServer } from "node:http"
import { type AddressInfo, createServer as createTcpServer } from "node:net"
import { createClient, single } from "@meshwork/client-sdk"
import { createPool, createStaticSource } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { expect, it, onTestFinished } from "vitest"
import { createGateway } from "./index.ts"

async function gatewayOver(ports: number[], circuitBreaker = false): Promise<string> {
  const source = createStaticSource("test")
  source.set(
    "a",
    ports.map((port) => fakeInstance("a", port)),
    0,
  )
  const breaker = circuitBreaker ? { circuitBreaker: (await import("@meshwork/client-sdk/pool")).circuitBreaker() } : {}
  const pool = createPool({ service: "a", source, ...breaker })
  const gateway = createGateway({ routes: [{ match: "prefix", path: "/", service: "a" }], pool: () => pool })
  onTestFinished(async () => {
    await gateway.close({ graceMs: 0 })
    await pool.close()
  })
  const { port } = await gateway.listen({ host: "127.0.0.1", port: 0 })
  return `http://127.0.0.1:${port}`
}

async function failing(how: "500" | "reset", count: { requests: number }): Promise<number> {
  const server =
    how === "500"
      ? createServer((_request, response) => {
          count.requests++
          response.writeHead(500).end()
        })
      : createTcpServer((socket) => {
          socket.on("error", () => {})
          socket.once("data", () => {
            count.requests++
            socket.resetAndDestroy()
          })
        })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

it.each(["500", "reset"] as const)(
  "with every instance failing by %s, 1,000 calls put at most 1,200 requests on the wire, through client and gateway together",
  async (how) => {
    const count = { requests: 0 }
    const url = await gatewayOver(await Promise.all(Array.from({ length: 4 }, () => failing(how, count))))
    const client = createClient({ endpoint: url })
    onTestFinished(() => client.close())
    let failures = 0
    const worker = async (): Promise<void> => {
      for (let n = 0; n < 125; n++) {
        const response = await client.get("/x")
        await response.text()
        if (response.status >= 500) failures++
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    expect(failures).toBe(1000)
    expect(count.requests).toBeGreaterThanOrEqual(1000)
    expect(count.requests).toBeLessThanOrEqual(1230)
  },
)

it("with breakers, instances that fail are left alone", async () => {
  const count = { requests: 0 }
  const url = await gatewayOver(await Promise.all(Array.from({ length: 4 }, () => failing("500", count))), true)
  const client = createClient({ endpoint: url })
  onTestFinished(() => client.close())
  for (let n = 0; n < 300; n++) await (await client.get("/x", { strategy: single() })).text()
  expect(count.requests).toBeLessThan(60)
})
