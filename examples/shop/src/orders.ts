// A service on Fastify that calls another one: the deadline of the incoming request limits the outgoing one by itself.
import type { AddressInfo } from "node:net"
import { createMesh, currentContext } from "@meshwork/client-sdk"
import { meshContext } from "@meshwork/client-sdk/fastify"
import fastify from "fastify"

const mesh = createMesh({ discovery: process.env.MESHWORK_SERVER ?? "http://127.0.0.1:8008", serviceName: "orders" })
const payment = mesh.client("payment")
const app = fastify()
await app.register(meshContext())

app.get("/health", () => ({ status: "ok" }))

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

await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT ?? 0) })
const { port } = app.server.address() as AddressInfo
const instance = `orders on 127.0.0.1:${port}`

await mesh.register({
  service: "orders",
  host: "127.0.0.1",
  port,
  ttlSeconds: 10,
  check: { method: "http", path: "/health", frequencySeconds: 2, timeoutSeconds: 1 },
  server: app.server,
})
process.stdout.write(`${instance}\n`)
