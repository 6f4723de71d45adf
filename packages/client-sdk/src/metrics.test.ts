import { ManualClock } from "@meshwork/contract/testing"
import fastify from "fastify"
import { Registry } from "prom-client"
import { expect, it, onTestFinished } from "vitest"
import { circuitBreaker } from "./breaker/circuit-breaker.ts"
import { retryBudget } from "./budget/retry-budget.ts"
import { createClient } from "./client/fixed-endpoint.ts"
import { constantDelay } from "./delays/delay.ts"
import { createMetrics } from "./metrics.ts"
import { meshContext as fastifyContext } from "./server/fastify.ts"
import { meshContext } from "./server/node.ts"
import { parallel, sequential, single } from "./strategies/strategy.ts"
import { loopbackServer } from "./testing/loopback-server.ts"
import { fakeMesh } from "./testing/fake-mesh.ts"
import type { ScriptStep } from "./testing/scripted-transport.ts"

async function lines(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#") && !line.includes("_bucket"))
}

function measured(steps: ScriptStep[]) {
  const registry = new Registry()
  const { client: observer } = createMetrics({ registry })
  const clock = new ManualClock()
  const mesh = fakeMesh({ services: { a: steps }, clock })
  onTestFinished(() => mesh.close())
  const run = async (options: Parameters<typeof mesh.client>[1], path = "/x/{id}"): Promise<void> => {
    const call = mesh.client("a", { observer, ...options }).get(path, { params: { id: 7 } })
    const settled = call.catch(() => {})
    await clock.advance(1000)
    await settled
  }
  return { registry, run }
}

it("counts calls by template and status, attempts, and retries", async () => {
  const { registry, run } = measured([
    { status: 500, afterMs: 10 },
    { status: 200, afterMs: 20 },
  ])
  await run({ strategy: sequential({ delay: constantDelay(100) }) })
  expect(await lines(registry)).toEqual(
    expect.arrayContaining([
      'meshwork_client_request_duration_seconds_count{service="a",method="GET",path="/x/{id}",status="200",breaker="false"} 1',
      'meshwork_client_request_duration_seconds_sum{service="a",method="GET",path="/x/{id}",status="200",breaker="false"} 0.13',
      'meshwork_client_attempt_duration_seconds_count{service="a",method="GET",path="/x/{id}",status="500"} 1',
      'meshwork_client_attempt_duration_seconds_sum{service="a",method="GET",path="/x/{id}",status="200"} 0.02',
      'meshwork_client_retries_total{service="a"} 1',
    ]),
  )
})

it("counts hedges won and lost, and the aborted attempts they cost", async () => {
  const { registry, run } = measured([
    { status: 200, afterMs: 500 },
    { status: 200, afterMs: 10 },
    { status: 200, afterMs: 500 },
  ])
  await run({ strategy: parallel({ attempts: 2, delay: constantDelay(50) }) })
  expect(await lines(registry)).toEqual(
    expect.arrayContaining([
      'meshwork_client_hedges_total{service="a",outcome="won"} 1',
      'meshwork_client_attempt_duration_seconds_count{service="a",method="GET",path="/x/{id}",status="aborted"} 1',
    ]),
  )
  expect((await lines(registry)).join()).not.toContain('outcome="lost"')
})

it("a hedge that comes too late is lost", async () => {
  const { registry, run } = measured([
    { status: 200, afterMs: 60 },
    { status: 200, afterMs: 500 },
  ])
  await run({ strategy: parallel({ attempts: 2, delay: constantDelay(50) }) })
  expect(await lines(registry)).toContain('meshwork_client_hedges_total{service="a",outcome="lost"} 1')
})

it("counts what an empty budget left out, breakers that open, and calls they refuse", async () => {
  const { registry, run } = measured([{ status: 500 }])
  await run({ retryBudget: retryBudget({ capacity: 0 }), strategy: sequential() })
  expect(await lines(registry)).toContain('meshwork_client_retry_budget_exhausted_total{service="a"} 1')
  const registry2 = new Registry()
  const { client: observer } = createMetrics({ registry: registry2 })
  const clock = new ManualClock()
  const mesh = fakeMesh({ services: { a: [{ fail: "reset" }] }, instances: 1, clock })
  onTestFinished(() => mesh.close())
  const client = mesh.client("a", { observer, strategy: single(), circuitBreaker: circuitBreaker({ minimumThroughput: 1 }) })
  for (let n = 0; n < 2; n++) {
    const settled = client.get("/").catch(() => {})
    await clock.advance(1)
    await settled
  }
  expect(await lines(registry2)).toEqual(
    expect.arrayContaining([
      'meshwork_client_breaker_transitions_total{service="a",state="open"} 1',
      'meshwork_client_request_duration_seconds_count{service="a",method="GET",path="/",status="circuit_open",breaker="true"} 1',
    ]),
  )
})

it("bounds paths that callers make up", async () => {
  const registry = new Registry()
  const { client } = createMetrics({ registry })
  for (let n = 0; n < 1100; n++) client.call?.({ service: "a", method: "GET", path: `/x/${n}`, status: "200", durationMs: 1, breaker: false })
  const counts = (await lines(registry)).filter((line) => line.startsWith("meshwork_client_request_duration_seconds_count"))
  expect(counts).toHaveLength(1001)
  expect(counts).toContain('meshwork_client_request_duration_seconds_count{service="a",method="GET",path="other",status="200",breaker="false"} 100')
})

it("measures handled requests by route and caller, with Fastify and node:http", async () => {
  const registry = new Registry()
  const { server: observer } = createMetrics({ registry })
  const app = fastify()
  await app.register(fastifyContext({ observer }))
  app.get("/charges/:id", () => "ok")
  onTestFinished(() => app.close())
  const fastifyUrl = await app.listen({ host: "127.0.0.1", port: 0 })
  const plain = await loopbackServer(meshContext({ observer, routeOf: () => "/plain" })((_request, response) => response.writeHead(204).end()))
  for (const url of [`${fastifyUrl}/charges/7`, plain.url]) {
    const client = createClient({ endpoint: url, serviceName: "Orders" })
    await (await client.get("")).text()
    await client.close()
  }
  await expect
    .poll(() => lines(registry))
    .toEqual(
      expect.arrayContaining([
        'meshwork_server_request_duration_seconds_count{client="orders",method="GET",path="/charges/:id",status="200"} 1',
        'meshwork_server_request_duration_seconds_count{client="orders",method="GET",path="/plain",status="204"} 1',
      ]),
    )
})
