import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { onTestFinished } from "vitest"

/** A service of the test's own: what its health check answers can be changed, and what it was asked is remembered. */
export interface CheckedService {
  readonly port: number
  readonly address: string
  /** Status of `/health`; 0 = no answer at all. */
  health: number
  /** When `/health` was asked for, monotonic ms. */
  readonly checks: number[]
  /** User agents that asked for `/health`. */
  readonly checkedBy: Set<string>
  /** Every other request. */
  readonly requests: { method: string; url: string; headers: IncomingMessage["headers"]; body: string }[]
  /** Stops to listen, and cuts what is connected. */
  stop(): Promise<void>
}

/** Starts one; other requests are answered with its name, and the status the query asks for. */
export async function startCheckedService(name: string): Promise<CheckedService> {
  const checks: number[] = []
  const checkedBy = new Set<string>()
  const requests: CheckedService["requests"] = []
  const server = createServer((request, response) => {
    if (request.url === "/health") {
      checks.push(performance.now())
      checkedBy.add(request.headers["user-agent"] ?? "nobody")
      if (service.health !== 0) response.writeHead(service.health).end()
      return
    }
    let body = ""
    request.setEncoding("utf8")
    request.on("data", (chunk: string) => (body += chunk))
    request.on("end", () => {
      const { method = "", url = "", headers } = request
      requests.push({ method, url, headers, body })
      const status = Number(new URL(url, "http://x").searchParams.get("status") ?? 200)
      response.writeHead(status, { "x-from": name }).end(`${name} took ${body.length}`)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const stop = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  onTestFinished(stop)
  const { port } = server.address() as AddressInfo
  const service: CheckedService = { port, address: `127.0.0.1:${port}`, health: 200, checks, checkedBy, requests, stop }
  return service
}
