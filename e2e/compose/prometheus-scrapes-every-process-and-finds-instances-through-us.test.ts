import { expect, it } from "vitest"
import { composedMesh, composeReason } from "../support/compose.ts"
import { eventually } from "../support/eventually.ts"
import { sendGets } from "../support/load.ts"
import { getOk } from "../support/mesh.ts"

interface Target {
  labels: { job: string; service?: string; instance: string }
  health: string
  lastError: string
}

it.skipIf(composeReason)("Prometheus scrapes every process, finds a new instance through the registry, and evaluates every rule", async () => {
  const mesh = await composedMesh()
  const api = async <T>(path: string): Promise<T> => ((await getOk(`${mesh.prometheusUrl}/api/v1${path}`)) as { data: T }).data
  const up = async (): Promise<string[]> => {
    const { activeTargets } = await api<{ activeTargets: Target[] }>("/targets?state=active")
    const down = activeTargets
      .filter(({ health }) => health !== "up")
      .map(({ labels, lastError }) => `${labels.job} ${labels.instance}: ${lastError}`)
    expect(down).toEqual([])
    return activeTargets.map(({ labels }) => labels.service ?? labels.job).sort()
  }
  const all = ["discovery", "discovery", "gateway", "orders", "orders", "payment", "payment", "prometheus"]
  await eventually("every process is scraped", 60_000, async () => expect(await up()).toEqual(all))

  await mesh.compose("up", "-d", "--scale", "payment=3", "--no-recreate", "payment")
  await eventually("the new instance is scraped", 60_000, async () => expect(await up()).toEqual([...all, "payment"].sort()))
  await mesh.compose("up", "-d", "--scale", "payment=2", "--no-recreate", "payment")
  await eventually("it is forgotten", 60_000, async () => expect(await up()).toEqual(all))

  expect((await sendGets(`${mesh.gatewayUrl}/api/orders/7`, 100, 4).finish()).failures).toEqual([])
  await eventually("the gateway's requests are counted by route", 40_000, async () => {
    const { result } = await api<{ result: { value: [number, string] }[] }>(
      "/query?query=sum(meshwork_gateway_requests_total%7Broute=%22/api/orders/*%22%7D)",
    )
    expect(Number(result[0]?.value[1])).toBeGreaterThanOrEqual(100)
  })
  const { groups } = await api<{ groups: { rules: { name: string; type: string; health: string; state?: string; lastError?: string }[] }[] }>(
    "/rules",
  )
  const rules = groups.flatMap((group) => group.rules)
  expect(rules.length).toBeGreaterThan(10)
  expect(rules.filter(({ health }) => health !== "ok")).toEqual([])
})
