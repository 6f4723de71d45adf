import { expect, it } from "vitest"
import type { Dockerd } from "../scripts/dockerd.mjs"
import { dockerReason, engineOfThisFile, type RgateGateway, startContainer, startRgate, untilItAnswers } from "./support/docker.ts"
import { eventually } from "./support/eventually.ts"
import { sendGets } from "./support/load.ts"
import { getOk } from "./support/mesh.ts"

/** What "about a second" is held to, while everything shares two cores. */
const soonMs = 1500
const engine = engineOfThisFile()

async function startShop(): Promise<{ dockerd: Dockerd; gateway: RgateGateway }> {
  const dockerd = engine()
  const payments = ["payment-1", "payment-2", "payment-3"].map((name) => startContainer(dockerd, "payment", name, ["--stop-timeout", "5"]))
  await Promise.all([...payments, startContainer(dockerd, "orders", "orders-1")])
  const gateway = await startRgate(dockerd)
  await eventually("all answer", 10_000, async () => {
    expect(await gateway.answering("/api/payment/7")).toEqual(["payment-1", "payment-2", "payment-3"])
    expect(await gateway.answering("/api/orders")).toEqual(["orders-1"])
  })
  return { dockerd, gateway }
}

it.skipIf(dockerReason !== undefined)("stop, start, scale, pause, kill, rm -f, restart: the rotation follows, and no GET fails", async () => {
  const { dockerd, gateway } = await startShop()
  const becomes = (names: string[], ms = soonMs) =>
    eventually(`${names.join()} answer`, ms, async () => expect(await gateway.answering("/api/payment")).toEqual(names))
  const again = async (command: string, name: string) => {
    await dockerd.run(command, name)
    await untilItAnswers(dockerd, name)
  }
  const load = sendGets(`${gateway.url}/api/payment/charges`, 200_000, 6, 4)

  await dockerd.run("stop", "payment-1")
  await becomes(["payment-2", "payment-3"])
  await again("start", "payment-1")
  await becomes(["payment-1", "payment-2", "payment-3"])
  await startContainer(dockerd, "payment", "payment-4", ["--stop-timeout", "5"])
  await becomes(["payment-1", "payment-2", "payment-3", "payment-4"])
  await dockerd.run("stop", "payment-4", "payment-3")
  await becomes(["payment-1", "payment-2"])
  await again("start", "payment-3")
  await again("restart", "payment-1")
  await becomes(["payment-1", "payment-2", "payment-3"])
  await dockerd.run("kill", "payment-2")
  await becomes(["payment-1", "payment-3"])
  await again("start", "payment-2")
  await becomes(["payment-1", "payment-2", "payment-3"])
  await dockerd.run("rm", "-f", "payment-2")
  await becomes(["payment-1", "payment-3"])
  load.stop()
  const { failures, sent } = await load.finish()
  expect(failures).toEqual([])
  expect(sent).toBeGreaterThan(500)
})

it.skipIf(dockerReason !== undefined)("a paused container gets nothing new, and what it swallowed before is all that is late", async () => {
  const { dockerd, gateway } = await startShop()
  await dockerd.run("pause", "payment-1")
  await eventually("it is out", soonMs, async () =>
    expect(JSON.stringify(await getOk(`${gateway.adminUrl}/routes`))).toContain("disabled by docker pause"),
  )
  const load = sendGets(`${gateway.url}/api/payment`, 500, 6)
  const { failures, bodies } = await load.finish()
  expect(failures).toEqual([])
  expect(new Set(bodies)).toEqual(new Set(["payment-2", "payment-3"]))
  await dockerd.run("unpause", "payment-1")
  await eventually("it is back", soonMs, async () => expect(await gateway.answering("/api/payment")).toContain("payment-1"))
})

it.skipIf(dockerReason !== undefined)("the last container of a backend goes and comes back: 503 in rgate's words, and counted", async () => {
  const { dockerd, gateway } = await startShop()
  const before = (await getOk(`${gateway.url}/stats`)) as { requests_count: { success: number; error: number } }
  await dockerd.run("stop", "-t", "2", "orders-1")
  await eventually("nobody is there", soonMs, async () => {
    const routes = (await getOk(`${gateway.adminUrl}/routes`)) as { routes: { service: string; instances: object[] }[] }
    expect(routes.routes.find(({ service }) => service === "orders")?.instances).toEqual([])
  })
  const answer = await fetch(`${gateway.url}/api/orders`)
  expect([answer.status, answer.headers.get("content-type")]).toEqual([503, "application/problem+json"])
  expect(await answer.json()).toMatchObject({ body: "Backend available but no Service URLs discovered", status_code: 503 })
  expect(await (await fetch(`${gateway.url}/api/paymentXYZ`)).text()).toBe("This is not reachable")
  expect(await getOk(`${gateway.url}/stats`)).toMatchObject({
    requests_count: { success: before.requests_count.success, error: before.requests_count.error + 2 },
  })
  await dockerd.run("start", "orders-1")
  await untilItAnswers(dockerd, "orders-1")
  await eventually("it is used again", soonMs, async () => expect(await gateway.answering("/api/orders")).toEqual(["orders-1"]))
})
