import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { expect, it, onTestFinished } from "vitest"
import { startServer, subscribe } from "./testing/server-bench.ts"

async function backend(status: () => number): Promise<{ server: Server; port: number; hits: () => number }> {
  let hits = 0
  const server = createServer((_, response) => {
    hits++
    response.writeHead(status()).end()
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void server.close())
  return { server, port: (server.address() as AddressInfo).port, hits: () => hits }
}

const check = { method: "http", path: "/health", frequencySeconds: 0.2, timeoutSeconds: 0.5 }

it("lets an instance serve only once its check passes, and takes it out when it fails", async () => {
  let status = 200
  const { port } = await backend(() => status)
  const { call, url } = await startServer()
  const watcher = await subscribe(`${url}/v1/watch?service=payment`)
  const { json } = await call("/v1/services/payment/instances/a", { method: "PUT", body: { host: "127.0.0.1", port, check } })
  expect(json.instance).toMatchObject({ standing: "out", why: expect.stringContaining("not probed yet") })
  const seen = () => watcher.events.flatMap(({ data }) => ("upserted" in data ? data.upserted : [])).at(-1)
  await expect.poll(seen).toMatchObject({
    standing: "serving",
    why: expect.stringMatching(
      /^passing: GET http:\/\/127\.0\.0\.1:\d+\/health answered 200 in \d+ ms; a failed check would make it failing, one every 0\.2 s$/,
    ),
    health: { by: "poller" },
  })
  status = 500
  await expect
    .poll(seen)
    .toMatchObject({ standing: "out", why: expect.stringMatching(/^failing: GET http:\/\/127\.0\.0\.1:\d+\/health answered 500/) })
  status = 200
  await expect.poll(seen).toMatchObject({ standing: "serving" })
})

it("probes a new boot at once, however rarely it is probed otherwise", async () => {
  const { port, hits } = await backend(() => 200)
  const { call } = await startServer()
  const body = { host: "127.0.0.1", port, check: { ...check, frequencySeconds: 3600 } }
  const standing = async () => (await call("/v1/services/payment/instances/a")).json.standing
  await call("/v1/services/payment/instances/a", { method: "PUT", body: { ...body, boot: "b1" } })
  await expect.poll(standing).toBe("serving")
  expect(hits()).toBe(1)
  const again = await call("/v1/services/payment/instances/a", { method: "PUT", body: { ...body, boot: "b2" } })
  expect(again.json.instance.health.status).toBe("unknown")
  await expect.poll(standing).toBe("serving")
  expect(hits()).toBe(2)
})

it("keeps up with several hundred instances that register at once", async () => {
  const { port } = await backend(() => 200)
  const { call } = await startServer()
  const body = { host: "127.0.0.1", port, check: { ...check, frequencySeconds: 3600, timeoutSeconds: 5 } }
  await Promise.all(Array.from({ length: 300 }, (_, n) => call(`/v1/services/payment/instances/i${n}`, { method: "PUT", body })))
  await expect.poll(async () => (await call("/v1/services")).json.services[0].serving).toBe(300)
})
