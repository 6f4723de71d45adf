// A service on plain node:http: it registers itself and answers within the time its caller has left.
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { createMesh, currentContext } from "@meshwork/client-sdk"
import { meshContext } from "@meshwork/client-sdk/node"

const mesh = createMesh({ discovery: process.env.MESHWORK_SERVER ?? "http://127.0.0.1:8008", serviceName: "payment" })
const withContext = meshContext()

const server = createServer(
  withContext((request, response) => {
    const url = new URL(request.url ?? "/", "http://payment")
    const json = (status: number, body: unknown) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
    if (url.pathname === "/health") return void json(200, { status: "ok" })
    const order = /^\/api\/payments\/(\d{1,12})$/.exec(url.pathname)?.[1]
    if (order === undefined || request.method !== "GET") return void json(404, { error: "no such payment" })
    json(200, { order: Number(order), amount: 19.9, instance, remainingMs: Math.round(currentContext()?.deadline?.remainingMs ?? 0) })
  }),
)

await new Promise<void>((resolve) => server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", resolve))
const { port } = server.address() as AddressInfo
const instance = `payment on 127.0.0.1:${port}`

await mesh.register({
  service: "payment",
  host: "127.0.0.1",
  port,
  ttlSeconds: 10,
  check: { method: "http", path: "/health", frequencySeconds: 2, timeoutSeconds: 1 },
  server,
})
process.stdout.write(`${instance}\n`)
