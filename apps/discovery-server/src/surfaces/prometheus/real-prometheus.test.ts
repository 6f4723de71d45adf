import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { expect, it, onTestFinished } from "vitest"
import { hasPrometheus, startPrometheus } from "../../testing/real-prometheus.ts"
import { startServer } from "../../testing/server-bench.ts"

const patience = { timeout: 20_000, interval: 100 }

/** A service with a metric of its own; its port. */
async function service(value: number): Promise<number> {
  const server = createServer((_, response) => response.setHeader("content-type", "text/plain; version=0.0.4").end(`orders_open ${value}\n`))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => server.closeAllConnections())
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

it.skipIf(!hasPrometheus())(
  "Prometheus scrapes what is registered, and no longer what is disabled or gone (skipped where prometheus is not installed)",
  { timeout: 180_000 },
  async () => {
    const { url, call } = await startServer()
    const instance = (id: string) => `/v1/services/orders/instances/${id}`
    const put = (id: string, body: object) => call(instance(id), { method: "PUT", body: { host: "127.0.0.1", ttlSeconds: 0, ...body } })
    const odd = { "": "empty", "1st/größe 🚲": '"quoted"\n', half: "\ud83d", deep: { a: [null] }, __proto: 1 }
    await put("a", { port: await service(1), zone: "eu-1", tags: { team: "shop", ...odd } })
    await put("b", { port: await service(2), canary: true })
    await put("v6", { host: "::1", port: 1 })

    const discovery = { url: `${url}/v1/prometheus/targets`, refresh_interval: "1s" }
    const relabelled = ["service", "zone", "canary", "tag_team"].map((name) => ({
      source_labels: [`__meta_meshwork_${name}`],
      target_label: name,
    }))
    const prometheus = await startPrometheus({
      scrape_configs: [
        {
          job_name: "mesh",
          scrape_interval: "1s",
          http_sd_configs: [discovery],
          relabel_configs: [...relabelled, { source_labels: ["__meta_meshwork_id"], target_label: "instance" }],
        },
      ],
    })
    await expect.poll(() => prometheus.query("orders_open"), patience).toEqual({ a: "1", b: "2" })
    const found = Object.fromEntries((await prometheus.targets()).map((target) => [target.labels["instance"], target]))
    expect(found["a"]).toMatchObject({ health: "up", labels: { service: "orders", zone: "eu-1", canary: "false", tag_team: "shop" } })
    expect(found["a"]?.discoveredLabels).toMatchObject({
      __meta_meshwork_service: "orders",
      __meta_meshwork_state: "up",
      __meta_meshwork_standing: "serving",
      __meta_meshwork_tag_: "empty",
      __meta_meshwork_tag_1st_gr__e__: '"quoted"\n',
      __meta_meshwork_tag_half: "\ufffd",
      __meta_meshwork_tag_deep: '{"a":[null]}',
    })
    expect(found["b"]).toMatchObject({ health: "up", labels: { canary: "true" } })
    await expect.poll(async () => (await prometheus.query("up"))["v6"], patience).toBe("0")

    await call(instance("b"), { method: "PATCH", body: { state: "disabled" } })
    await call(instance("v6"), { method: "DELETE" })
    await put("c", { port: await service(3) })
    const instances = async () => (await prometheus.targets()).map(({ labels }) => labels["instance"]).toSorted()
    await expect.poll(instances, patience).toEqual(["a", "c"])
    await expect.poll(async () => (await prometheus.query("orders_open"))["c"], patience).toBe("3")
    expect(prometheus.log()).not.toMatch(/level=error/)
  },
)

it.skipIf(!hasPrometheus())(
  "Prometheus scrapes the server's own metrics (skipped where prometheus is not installed)",
  { timeout: 180_000 },
  async () => {
    const { url, call } = await startServer()
    await call("/v1/services/orders/instances/a", { method: "PUT", body: { host: "127.0.0.1", port: 1 } })
    const { host } = new URL(url)
    const job = { job_name: "discovery", scrape_interval: "1s", static_configs: [{ targets: [host], labels: { instance: "discovery" } }] }
    const prometheus = await startPrometheus({ scrape_configs: [job] })
    await expect.poll(() => prometheus.query("meshwork_registry_instances"), patience).toEqual({ discovery: "1" })
  },
)
