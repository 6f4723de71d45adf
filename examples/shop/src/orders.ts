// A service on Fastify that calls another one: the deadline of the incoming request limits the outgoing one by itself.
import type { AddressInfo } from "node:net"
import { createMesh, currentContext } from "@meshwork/client-sdk"
import { meshContext } from "@meshwork/client-sdk/fastify"
import { createMetrics } from "@meshwork/client-sdk/metrics"
import fastify from "fastify"
import { Registry } from "prom-client"

const { MESHWORK_SERVER = "http://127.0.0.1:8008", HOST: host = "127.0.0.1", PORT = "0" } = process.env
const registry = new Registry()
const metrics = createMetrics({ registry })
const mesh = createMesh({ discovery: MESHWORK_SERVER, serviceName: "orders", observer: metrics.client })
const payment = mesh.client("payment")
const app = fastify()
await app.register(meshContext({ observer: metrics.server }))

app.get("/health", () => ({ status: "ok" }))
app.get("/metrics", async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()))

app.get<{ Params: { id: string } }>("/api/orders/:id", async (request, reply) => {
  const order = Number(request.params.id)
  if (!Number.isSafeInteger(order) || order < 1) return reply.code(400).send({ error: "an order number is a positive whole number" })
  const remainingMs = Math.round(currentContext()?.deadline?.remainingMs ?? 0)
  const response = await payment.get("/api/payments/{order}", { params: { order: String(order) } })
  if (!response.ok) return reply.code(502).send({ error: `payment answered ${response.status}` })
  const paid = (await response.json()) as { amount: number; instance: string; remainingMs: number }
  return {
    order,
    amount: paid.amount,
    servedBy: { orders: instance, payment: paid.instance },
    remainingMs: { orders: remainingMs, payment: paid.remainingMs },
  }
})

await app.listen({ host, port: Number(PORT) })
const { port } = app.server.address() as AddressInfo
const instance = `orders on ${host}:${port}`

await mesh.register({
  service: "orders",
  host,
  port,
  ttlSeconds: 10,
  check: { method: "http", path: "/health", frequencySeconds: 2, timeoutSeconds: 1 },
  server: app.server,
})
process.stdout.write(`${instance}\n`)
