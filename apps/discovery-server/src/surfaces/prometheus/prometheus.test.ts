import { describe, expect, it, test } from "vitest"
import { startServer } from "../../testing/server-bench.ts"

async function bench() {
  const { call } = await startServer()
  const put = (service: string, id: string, body: object = {}) =>
    call(`/v1/services/${encodeURIComponent(service)}/instances/${encodeURIComponent(id)}`, {
      method: "PUT",
      body: { host: "10.0.0.1", port: 9000, ...body },
    })
  return { call, put, targets: async () => (await call("/v1/prometheus/targets")).json }
}

const bare = {
  __meta_meshwork_service: "s",
  __meta_meshwork_id: "a",
  __meta_meshwork_zone: "",
  __meta_meshwork_region: "",
  __meta_meshwork_revision: "",
  __meta_meshwork_canary: "false",
  __meta_meshwork_state: "up",
  __meta_meshwork_standing: "serving",
}

it("an empty registry has no targets, as JSON", async () => {
  const { call } = await bench()
  const reply = await call("/v1/prometheus/targets")
  expect([reply.status, reply.text]).toEqual([200, "[]"])
  expect(reply.headers.get("content-type")).toBe("application/json; charset=utf-8")
})

it("every instance is a target with its labels, ordered by service and id", async () => {
  const { put, targets } = await bench()
  await put("t", "x", { host: "host.example.com" })
  await put("s", "b", { zone: "z", region: "r", revision: "v", canary: true, port: 9001, tags: { env: "production", team: "a b" } })
  await put("s", "a")
  expect(await targets()).toEqual([
    { targets: ["10.0.0.1:9000"], labels: bare },
    {
      targets: ["10.0.0.1:9001"],
      labels: {
        ...bare,
        __meta_meshwork_id: "b",
        __meta_meshwork_zone: "z",
        __meta_meshwork_region: "r",
        __meta_meshwork_revision: "v",
        __meta_meshwork_canary: "true",
        __meta_meshwork_tag_env: "production",
        __meta_meshwork_tag_team: "a b",
      },
    },
    { targets: ["host.example.com:9000"], labels: { ...bare, __meta_meshwork_service: "t", __meta_meshwork_id: "x" } },
  ])
})

it("IPv6 stands in brackets", async () => {
  const { put, targets } = await bench()
  await put("s", "a", { host: "fd00::1" })
  expect((await targets())[0].targets).toEqual(["[fd00::1]:9000"])
})

describe("a tag", () => {
  test.each<[tags: object, labels: object]>([
    [{ "app.kubernetes.io/name": "x" }, { tag_app_kubernetes_io_name: "x" }],
    [{ größe: "x" }, { tag_gr__e: "x" }],
    [{ "🚲": "x" }, { tag__: "x" }],
    [{ "": "x" }, { tag_: "x" }],
    [{ "1st": "x" }, { tag_1st: "x" }],
    [
      { n: 7, b: true, o: { a: 1 }, l: ["a"], z: null },
      { tag_n: "7", tag_b: "true", tag_o: '{"a":1}', tag_l: '["a"]', tag_z: "null" },
    ],
    [{ "a.b": "2", "a-b": "1" }, { tag_a_b: "1" }],
    [{ text: 'with "quotes"\nand lines' }, { tag_text: 'with "quotes"\nand lines' }],
    [{ half: "\ud83d" }, { tag_half: "\ufffd" }],
  ])("%j becomes %j", async (tags, labels) => {
    const { put, targets } = await bench()
    await put("s", "a", { tags })
    const expected = Object.fromEntries(Object.entries(labels).map(([name, value]) => [`__meta_meshwork_${name}`, value]))
    expect((await targets())[0].labels).toEqual({ ...bare, ...expected })
  })
})

it("draining and failing instances stay, with their state and standing, disabled ones go", async () => {
  const { call, put, targets } = await bench()
  for (const id of ["a", "b"]) await put("s", id)
  await put("s", "c", { check: { method: "ping", frequencySeconds: 3600 }, host: "192.0.2.1" })
  await call("/v1/services/s/instances/a", { method: "PATCH", body: { state: "draining" } })
  await call("/v1/services/s/instances/b", { method: "PATCH", body: { state: "disabled" } })
  const shown = (await targets()).map(({ labels }: { labels: Record<string, string> }) => [
    labels["__meta_meshwork_id"],
    labels["__meta_meshwork_state"],
    labels["__meta_meshwork_standing"],
  ])
  expect(shown).toEqual([
    ["a", "draining", "draining"],
    ["c", "up", "out"],
  ])
})

it("thousands of instances come whole", async () => {
  const { put, targets } = await bench()
  const tags = { text: "x".repeat(1000) }
  await Promise.all(Array.from({ length: 2000 }, (_, n) => put(`s${n % 7}`, `i${n}`, { port: 1 + n, tags })))
  const groups: { targets: string[] }[] = await targets()
  expect(new Set(groups.map((group) => group.targets[0])).size).toBe(2000)
})

it("is read with GET only", async () => {
  const { call } = await bench()
  expect(await call("/v1/prometheus/targets", { method: "POST", body: {} })).toMatchObject({ status: 405 })
})
