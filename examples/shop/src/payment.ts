// A service on plain node:http: it registers itself and answers within the time its caller has left.
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { createMesh, currentContext } from "@meshwork/client-sdk"
import { createMetrics } from "@meshwork/client-sdk/metrics"
import { meshContext } from "@meshwork/client-sdk/node"
import { Registry } from "prom-client"

const { MESHWORK_SERVER = "http://127.0.0.1:8008", HOST: host = "127.0.0.1", PORT = "0" } = process.env
const registry = new Registry()
const metrics = createMetrics({ registry })
const mesh = createMesh({ discovery: MESHWORK_SERVER, serviceName: "payment", observer: metrics.client })
const withContext = meshContext({ observer: metrics.server })

const server = createServer(
  withContext((request, response) => {
    const url = new URL(request.url ?? "/", "http://payment")
    const json = (status: number, body: unknown) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
    if (url.pathname === "/health") return void json(200, { status: "ok" })
    if (url.pathname === "/metrics") return void registry.metrics().then((text) => response.setHeader("content-type", registry.contentType).end(text))
    const order = /^\/api\/payments\/(\d{1,12})$/.exec(url.pathname)?.[1]
    if (order === undefined || request.method !== "GET") return void json(404, { error: "no such payment" })
    json(200, { order: Number(order), amount: 19.9, instance, remainingMs: Math.round(currentContext()?.deadline?.remainingMs ?? 0) })
  }),
)

await new Promise<void>((resolve) => server.listen(Number(PORT), host, resolve))
const { port } = server.address() as AddressInfo
const instance = `payment on ${host}:${port}`

await mesh.register({
  service: "payment",
  host,
  port,
  ttlSeconds: 10,
  check: { method: "http", path: "/health", frequencySeconds: 2, timeoutSeconds: 1 },
  server,
})
process.stdout.write(`${instance}\n`)
