import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { gatewayReportSchema } from "@meshwork/contract"
import { ManualClock } from "@meshwork/contract/testing"
import { type Gateway, Histogram } from "@meshwork/gateway"
import { expect, it, onTestFinished } from "vitest"
import { reportOf, startReporting } from "./reporter.ts"

function countingGateway(counts: { service: string; success: number; error: number; ms: readonly number[] }[]): Gateway {
  const routes = counts.map(({ service, success, error, ms }, index) => {
    const latency = new Histogram()
    for (const each of ms) latency.record(each)
    return { route: `/${index}`, service, success, error, statuses: [0, 0, success, 0, 0, error], latency }
  })
  return { counts: () => routes } as unknown as Gateway
}

it("sums up the routes of a service", () => {
  const gateway = countingGateway([
    { service: "a", success: 3, error: 1, ms: [10, 10, 10, 10] },
    { service: "b", success: 0, error: 0, ms: [] },
    { service: "a", success: 1, error: 0, ms: [20] },
  ])
  const report = gatewayReportSchema.parse(reportOf(gateway, "edge", 7))
  expect(report).toMatchObject({ gateway: "edge", since: 7, services: { a: { success: 4, error: 1, latencyMs: { average: 12 } } } })
  expect(report.services["a"]?.latencyMs.p99).toBeCloseTo(20, 0)
  expect(report.services["b"]).toEqual({ success: 0, error: 0, latencyMs: { average: 0, p95: 0, p99: 0 } })
})

it("tells every server every 5 s, with the token, and says once that one of them refuses", async () => {
  const heard: { url: string; authorization: string | undefined; body: unknown }[] = []
  const listen = async (status: number): Promise<string> => {
    const server = createServer((request: IncomingMessage, response) => {
      let text = ""
      request.on("data", (chunk) => (text += String(chunk)))
      request.on("end", () => {
        heard.push({ url: `${status} ${request.url}`, authorization: request.headers.authorization, body: JSON.parse(text) })
        response.writeHead(status).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    onTestFinished(() => {
      server.close().closeAllConnections()
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const clock = new ManualClock()
  const lines: string[] = []
  const urls = [await listen(204), await listen(401), "http://127.0.0.1:1"]
  const gateway = countingGateway([{ service: "a", success: 1, error: 0, ms: [1] }])
  const log = (level: string, message: string): void => void lines.push(`${level} ${message}`)
  const reporter = startReporting({ gateway, name: "edge", urls, token: "secret", clock, random: () => 0.5, log })
  onTestFinished(() => reporter.close())
  await clock.advance(4999)
  expect(heard).toEqual([])
  for (const rounds of [1, 2]) {
    await clock.advance(rounds === 1 ? 1 : 5000)
    await expect
      .poll(() => heard.map(({ url }) => url).sort())
      .toEqual([...Array(rounds).fill("204 /v1/reports"), ...Array(rounds).fill("401 /v1/reports")])
    // The next round is planned when this one is over.
    await expect.poll(() => clock.pendingTimers).toBe(1)
  }
  expect(new Set(heard.map(({ authorization }) => authorization))).toEqual(new Set(["Bearer secret"]))
  expect(lines).toEqual([expect.stringMatching(/^warn .* takes no reports: /)])
})
