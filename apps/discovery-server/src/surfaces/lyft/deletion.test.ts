import { describe, expect, it, test } from "vitest"
import { sharedLyft } from "../../testing/lyft-bench.ts"

const lyft = sharedLyft()
const remove = (path: string) => lyft().call(`/v1/registration/${path}`, { method: "DELETE" })
const native = (service: string, id: string, body: object) => lyft().call(`/v1/services/${service}/instances/${id}`, { method: "PUT", body })

it("a deleted host is gone, and cannot be deleted again", async () => {
  await lyft().register("once")
  const reply = await remove("once/10.0.0.1")
  expect([reply.status, reply.text]).toEqual([200, "{}"])
  expect(await lyft().hosts("once")).toEqual([])
  expect(await remove("once/10.0.0.1")).toMatchObject({ status: 400, text: "{}" })
  expect((await lyft().call("/v1/registration/repo/payments")).json.hosts).toEqual([])
})

test.each([
  "10.0.0.2",
  "10.0.0",
  "10.0.0.256",
  "010.0.0.1",
  "nonsense",
  "host.example.com",
  "10.0.0.1:8080",
  "%20",
  "fd00::1",
  "[fd00::1]",
  "10.0.0.1%2F8",
  "x".repeat(300),
])("there is nobody to delete at %s", async (ip) => {
  await lyft().register("kept")
  for (const service of ["kept", "unknown", "repo"]) expect(await remove(`${service}/${ip}`)).toMatchObject({ status: 400, text: "{}" })
  expect(await lyft().addresses("kept")).toEqual(["10.0.0.1:8080"])
})

it("a deletion without an ip is refused", async () => {
  expect(await remove("kept/")).toMatchObject({ status: 400, text: "{}" })
})

it("removes every instance on the ip, whoever registered it, in whatever state, and nobody else", async () => {
  await lyft().register("several", { port: "80" })
  await lyft().register("several", { port: "81" })
  await lyft().register("several", { ip: "10.0.0.2" })
  await lyft().register("another")
  await native("several", "a", { host: "10.0.0.1", port: 82, boot: "b1" })
  await native("several", "b", { host: "10.0.0.1", port: 83 })
  await lyft().call("/v1/services/several/instances/b", { method: "PATCH", body: { state: "disabled" } })
  expect(await remove("several/10.0.0.1")).toMatchObject({ status: 200, text: "{}" })
  expect((await lyft().call("/v1/services/several/instances")).json.instances).toMatchObject([{ host: "10.0.0.2" }])
  expect(await lyft().hosts("another")).toHaveLength(1)
})

describe("with a port", () => {
  it("removes only one", async () => {
    for (const port of ["80", "81"]) await lyft().register("one", { port })
    expect(await remove("one/10.0.0.1?port=80")).toMatchObject({ status: 200, text: "{}" })
    expect(await lyft().addresses("one")).toEqual(["10.0.0.1:81"])
  })

  test.each(["", "0", "65536", "x", "80.5", "1e2", "8081", "8080&port=8080"])("?port=%s removes nobody", async (port) => {
    await lyft().register("port")
    expect(await remove(`port/10.0.0.1?port=${port}`)).toMatchObject({ status: 400, text: "{}" })
    expect(await lyft().addresses("port")).toEqual(["10.0.0.1:8080"])
  })
})

it("a service called repo is deleted like any other", async () => {
  await lyft().register("repo")
  expect(await remove("repo/10.0.0.1")).toMatchObject({ status: 200, text: "{}" })
  expect(await lyft().hosts("repo")).toEqual([])
})

it("an IPv6 is found in any spelling", async () => {
  await lyft().register("six", { ip: "fd00::1" })
  expect(await remove("six/FD00:0:0::1")).toMatchObject({ status: 200 })
  expect(await lyft().hosts("six")).toEqual([])
})

it("a body with it does no harm", async () => {
  await lyft().register("body")
  const reply = await lyft().call("/v1/registration/body/10.0.0.1", { method: "DELETE", body: "port=1", headers: { "content-type": "text/plain" } })
  expect(reply).toMatchObject({ status: 200, text: "{}" })
})

it("of ten deletions at once one is told that it was there", async () => {
  await lyft().register("race")
  const statuses = await Promise.all(Array.from({ length: 10 }, async () => (await remove("race/10.0.0.1")).status))
  expect(statuses.filter((status) => status === 200)).toHaveLength(1)
  expect(statuses.filter((status) => status === 400)).toHaveLength(9)
})
