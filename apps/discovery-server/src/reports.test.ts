import { type GatewayReport, MeshError } from "@meshwork/contract"
import { ManualClock } from "@meshwork/contract/testing"
import { expect, it, test } from "vitest"
import { GatewayReports } from "./reports.ts"
import { startServer } from "./testing/server-bench.ts"

const latencyMs = { average: 1, p95: 2, p99: 3 }
const reportOf = (gateway: string, success = 1): GatewayReport => ({ gateway, since: 1000, services: { payment: { success, error: 0, latencyMs } } })

it("keeps the latest report of each gateway, and forgets one that is silent for 30 s", async () => {
  const clock = new ManualClock()
  const reports = new GatewayReports(clock)
  reports.accept(reportOf("b"))
  reports.accept(reportOf("a"))
  await clock.advance(20_000)
  reports.accept(reportOf("b", 2))
  expect(reports.current()).toEqual([reportOf("a"), reportOf("b", 2)])
  await clock.advance(10_000)
  expect(reports.current()).toEqual([reportOf("b", 2)])
  await clock.advance(20_000)
  expect(reports.current()).toEqual([])
})

it("refuses the 1,001st gateway until another one falls silent", async () => {
  const clock = new ManualClock()
  const reports = new GatewayReports(clock)
  for (let n = 0; n < 1000; n++) reports.accept(reportOf(`gateway-${n}`))
  expect(() => reports.accept(reportOf("one-more"))).toThrow(expect.objectContaining({ code: "limit_exceeded" }) as MeshError)
  reports.accept(reportOf("gateway-7", 2))
  await clock.advance(30_000)
  reports.accept(reportOf("one-more"))
  expect(reports.current()).toEqual([reportOf("one-more")])
})

it("takes a report over HTTP, with the token where one is set", async () => {
  const { call } = await startServer({ tokens: [{ name: "ops", token: "secret" }] })
  const body = reportOf("edge-1")
  expect(await call("/v1/reports", { method: "POST", body })).toMatchObject({ status: 401 })
  expect(await call("/v1/reports", { method: "POST", body, headers: { authorization: "Bearer secret" } })).toMatchObject({ status: 204, text: "" })
})

test.each([
  ["a negative count", { ...reportOf("a"), services: { payment: { success: -1, error: 0, latencyMs } } }, /services\.payment\.success/],
  ["an unknown field", { ...reportOf("a"), extra: 1 }, /extra: unknown field/],
  ["a name with blanks", reportOf("a b"), /gateway: must be/],
  ["an impossible service name", { ...reportOf("a"), services: { "a/b": { success: 1, error: 0, latencyMs } } }, /services/],
])("refuses a report with %s", async (_, body, detail) => {
  const { call } = await startServer()
  const reply = await call("/v1/reports", { method: "POST", body })
  expect(reply).toMatchObject({ status: 400, json: { code: "invalid_request" } })
  expect(reply.json.detail).toMatch(detail)
})
