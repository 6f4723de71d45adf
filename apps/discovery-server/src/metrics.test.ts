import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { expect, it } from "vitest"
import { RequestDurations } from "./request-durations.ts"
import { startServer } from "./testing/server-bench.ts"

const good = { host: "10.0.0.7", port: 9000 }

it("tells how many instances there are, what changed and how long requests took", async () => {
  const { call } = await startServer()
  await call("/v1/services/payment/instances/a", { method: "PUT", body: good })
  await call("/v1/services/payment/instances/b", { method: "PUT", body: good })
  await call("/v1/services/payment/instances/a/heartbeat", { method: "PUT" })
  await call("/v1/services/payment/instances/b", { method: "PATCH", body: { state: "disabled" } })
  await call("/no/such/path/of-a-curious-caller")
  const { status, text, headers } = await call("/metrics")
  expect(status).toBe(200)
  expect(headers.get("content-type")).toContain("text/plain; version=0.0.4")
  expect(text.trimEnd().split("\n")).toEqual(
    expect.arrayContaining([
      "meshwork_registry_services 1",
      "meshwork_registry_instances 2",
      "meshwork_registry_ready 1",
      'meshwork_service_instances{service="payment"} 2',
      'meshwork_service_serving_instances{service="payment"} 1',
      "meshwork_registry_heartbeats_total 1",
      'meshwork_registry_changes_total{what="registered"} 2',
      'meshwork_registry_changes_total{what="patched"} 1',
      'meshwork_discovery_request_duration_seconds_count{method="PUT",route="/v1/services/:service/instances/:id",status="201"} 2',
      'meshwork_discovery_request_duration_seconds_count{method="other",route="none",status="404"} 1',
    ]),
  )
  expect(text).not.toContain("curious-caller")
})

it("tells how probing goes", async () => {
  const { call } = await startServer()
  const check = { method: "ping", frequencySeconds: 3600 }
  const { port } = new URL((await startServer()).url)
  await call("/v1/services/payment/instances/a", { method: "PUT", body: { host: "127.0.0.1", port: Number(port), check } })
  await call("/v1/services/payment/instances/b", { method: "PUT", body: { host: "127.0.0.1", port: 1, check } })
  await call("/v1/services/payment/instances/c", { method: "PUT", body: good })
  const lines = async () => (await call("/metrics")).text.split("\n").filter((line) => line.startsWith("meshwork_poller_"))
  await expect
    .poll(lines)
    .toEqual(
      expect.arrayContaining([
        'meshwork_poller_probes_total{result="active"} 1',
        'meshwork_poller_probes_total{result="inactive"} 0',
        'meshwork_poller_probes_total{result="unreachable"} 1',
        'meshwork_poller_probes_total{result="fault"} 0',
        "meshwork_poller_targets 2",
        "meshwork_poller_probes_under_way 0",
        "meshwork_poller_probes_waiting 0",
        "meshwork_poller_cut_off 0",
      ]),
    )
  const figures = Object.fromEntries((await lines()).map((line) => line.split(" ")))
  expect(Number(figures["meshwork_poller_history_bytes"])).toBeGreaterThan(0)
  expect(Number(figures["meshwork_poller_late_seconds"])).toBeLessThan(1)
})

it.skipIf(spawnSync("promtool", ["--version"]).status !== 0)("passes promtool's check", async () => {
  const { call } = await startServer()
  await call("/v1/services/payment/instances/a", { method: "PUT", body: good })
  const { text } = await call("/metrics")
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" })
  expect(`${stdout}${stderr}`).toBe("")
  expect(status).toBe(0)
})

it("has every metric of its own in the reference, and no other", async () => {
  const { call } = await startServer()
  const { text } = await call("/metrics")
  const told = [...text.matchAll(/^# TYPE (meshwork_\w+) /gm)].map(([, name]) => name)
  const reference = readFileSync(new URL("../../../docs/reference/prometheus.md", import.meta.url), "utf8")
  const documented = [...reference.matchAll(/^\| `(meshwork_\w+)`/gm)].map(([, name]) => name ?? "")
  // Only where containers are looked for.
  expect(documented.filter((name) => !name.startsWith("meshwork_discovery_docker_")).toSorted()).toEqual(told.toSorted())
})

it("puts every request into the buckets it is not slower than, and their sum beside them", async () => {
  const durations = new RequestDurations()
  for (const seconds of [0.0005, 0.0006, 0.2, 7]) durations.count("GET", "/here", 200, seconds)
  durations.count("GET", "/here", 404, 1)
  const { values } = await durations.get()
  const series = values.filter(({ labels }) => labels["status"] === "200")
  const buckets = series.filter(({ metricName }) => metricName.endsWith("_bucket")).map(({ labels, value }) => [labels["le"], value])
  expect(buckets).toEqual([
    [0.0005, 1],
    [0.001, 2],
    [0.0025, 2],
    [0.005, 2],
    [0.01, 2],
    [0.025, 2],
    [0.05, 2],
    [0.1, 2],
    [0.25, 3],
    [0.5, 3],
    [1, 3],
    [2.5, 3],
    [5, 3],
    ["+Inf", 4],
  ])
  const single = (name: string) => series.find(({ metricName }) => metricName.endsWith(name))?.value
  expect(single("_count")).toBe(4)
  expect(single("_sum")).toBeCloseTo(7.2011)
  expect(values.filter(({ labels }) => labels["status"] === "404")).toHaveLength(16)
})

it("labels at most 1,000 services, the rest as other", async () => {
  const { call } = await startServer()
  await Promise.all(
    Array.from({ length: 1005 }, (_, n) => call(`/v1/services/s${String(n).padStart(4, "0")}/instances/a`, { method: "PUT", body: good })),
  )
  const { text } = await call("/metrics")
  expect(text.match(/^meshwork_service_instances\{/gm)).toHaveLength(1001)
  expect(text).toContain('meshwork_service_instances{service="other"} 5\n')
})
