import { describe, expect, it, test } from "vitest"
import { requiredTags, sharedLyft } from "../../testing/lyft-bench.ts"

const missing = `{"error":"Required parameter 'weight' is missing."}`
const invalid = '{"error":"Invalid load_balancing_weight. Supply an integer between 1 and 100."}'
const lyft = sharedLyft()
const weigh = (path: string, weight: string | undefined) => lyft().post(`/v1/loadbalancing/${path}`, { load_balancing_weight: weight })
const weights = async (service: string) => (await lyft().hosts(service)).map(({ tags }) => tags.load_balancing_weight)

describe("a weight", () => {
  test.each<[weight: string, set: number]>([
    ["1", 1],
    ["100", 100],
    ["10", 10],
    [" 10 ", 10],
    ["\t10\n", 10],
    ["+7", 7],
    ["007", 7],
  ])("'%s' is set", async (weight, set) => {
    await lyft().register(`good${set}`)
    for (const path of [`good${set}/10.0.0.1`, `good${set}`]) {
      const reply = await weigh(path, weight)
      expect([reply.status, reply.text]).toEqual([204, ""])
      expect(await weights(`good${set}`)).toEqual([set])
    }
  })

  const refusals: [weight: string | undefined, answer: string][] = [
    [undefined, missing],
    ["", missing],
    ...[
      "0",
      "101",
      "-1",
      "10.5",
      "10.0",
      "1e1",
      "0x10",
      "abc",
      " ",
      "1 0",
      "1_0",
      "10%",
      "NaN",
      "Infinity",
      "+",
      "++7",
      "-0",
      "1".repeat(100),
      "１０",
    ].map((weight): [string, string] => [weight, invalid]),
  ]
  describe.each(["refused", "refused/10.0.0.1", "stranger", "stranger/10.0.0.1", "refused/nonsense"])("for %s", (path) => {
    test.each(refusals)("'%s' is refused before the host is looked for", async (weight, answer) => {
      await lyft().register("refused")
      const reply = await weigh(path, weight)
      expect([reply.status, reply.text]).toEqual([400, answer])
      expect(await weights("refused")).toEqual([undefined])
    })
  })

  test.each<[body: unknown, status: number, text: string]>([
    [{ load_balancing_weight: 10 }, 204, ""],
    [{ load_balancing_weight: "10" }, 204, ""],
    [{ load_balancing_weight: 10, more: 1 }, 204, ""],
    [{ load_balancing_weight: null }, 400, missing],
    [{}, 400, missing],
    [[], 400, missing],
    [{ weight: 10 }, 400, missing],
    [{ load_balancing_weight: 10.5 }, 400, invalid],
    [{ load_balancing_weight: true }, 400, invalid],
    [{ load_balancing_weight: false }, 400, invalid],
    [{ load_balancing_weight: [10] }, 400, invalid],
    [{ load_balancing_weight: {} }, 400, invalid],
    [{ load_balancing_weight: 0 }, 400, invalid],
    ["{", 400, "{}"],
  ])("of JSON %j is answered with %s", async (body, status, text) => {
    await lyft().register("json")
    for (const path of ["json", "json/10.0.0.1"]) {
      const reply = await lyft().call(`/v1/loadbalancing/${path}`, { method: "POST", body })
      expect([reply.status, reply.text]).toEqual([status, text])
    }
  })
})

test.each(["10.0.0.2", "10.0.0.256", "nonsense", "10.0.0.1:8080", "%20", "fd00::1", "[fd00::1]"])("the host %s is not found", async (ip) => {
  await lyft().register("known")
  for (const service of ["known", "unknown"]) {
    const reply = await weigh(`${service}/${ip}`, "10")
    expect([reply.status, reply.text]).toEqual([404, '{"error":"Host not found"}'])
  }
  expect(await weights("known")).toEqual([undefined])
})

it("for an unknown service changes nothing and is 204", async () => {
  expect(await weigh("nobody", "10")).toMatchObject({ status: 204, text: "" })
  expect(await lyft().hosts("nobody")).toEqual([])
})

it("by ip reaches every instance on it, whoever registered it, and nobody else", async () => {
  await lyft().register("several", { port: "80" })
  await lyft().register("several", { port: "81" })
  await lyft().register("several", { ip: "10.0.0.2" })
  await lyft().register("another")
  await lyft().call("/v1/services/several/instances/native", { method: "PUT", body: { host: "10.0.0.1", port: 82, weight: 3 } })
  expect(await weigh("several/10.0.0.1", "50")).toMatchObject({ status: 204 })
  expect(await weights("several")).toEqual([50, 50, 50, undefined])
  expect(await weights("another")).toEqual([undefined])
})

it("for all hosts of a service reaches all of them", async () => {
  for (const port of ["80", "81", "82"]) await lyft().register("all", { port })
  await lyft().register("others")
  expect(await weigh("all", "5")).toMatchObject({ status: 204 })
  expect(await weights("all")).toEqual([5, 5, 5])
  expect(await weights("others")).toEqual([undefined])
})

it("by an IPv6 in any spelling", async () => {
  await lyft().register("six", { ip: "fd00::1" })
  expect(await weigh("six/FD00:0::1", "9")).toMatchObject({ status: 204 })
  expect(await weights("six")).toEqual([9])
})

it("set by an operator wins over one in tags until it is taken back", async () => {
  const tags = (weight: number) => JSON.stringify({ ...requiredTags, load_balancing_weight: weight })
  await lyft().register("own", { tags: tags(20) })
  expect(await weights("own")).toEqual([20])
  await weigh("own/10.0.0.1", "5")
  expect(await weights("own")).toEqual([5])
  await lyft().register("own", { tags: tags(30) })
  expect(await weights("own")).toEqual([5])
  const instance = "/v1/services/own/instances/10.0.0.1:8080"
  expect((await lyft().call(instance)).json).toMatchObject({ weight: 5, override: { weight: 5 } })
  await lyft().call(instance, { method: "PATCH", body: { weight: null } })
  expect(await weights("own")).toEqual([30])
  await lyft().call(instance, { method: "PATCH", body: { weight: 7 } })
  await lyft().register("own", { tags: tags(40) })
  expect(await weights("own")).toEqual([7])
})

it("set twice is no change", async () => {
  await lyft().register("twice")
  await weigh("twice", "5")
  const { revision } = (await lyft().call("/v1/services/twice/instances")).json
  await weigh("twice", "5")
  expect((await lyft().call("/v1/services/twice/instances")).json.revision).toBe(revision)
})

it("goes with its host", async () => {
  await lyft().register("gone")
  await weigh("gone", "5")
  await lyft().call("/v1/registration/gone/10.0.0.1", { method: "DELETE" })
  await lyft().register("gone")
  expect(await weights("gone")).toEqual([undefined])
})
