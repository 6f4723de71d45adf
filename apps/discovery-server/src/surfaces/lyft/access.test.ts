import { MeshError } from "@meshwork/contract"
import { createMemoryStorage } from "@meshwork/registry-core/memory"
import { describe, expect, it, test } from "vitest"
import { hostForm, sharedLyft, startLyft } from "../../testing/lyft-bench.ts"
import { bearerOf } from "./basic-auth.ts"

const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`
const mutations: [method: string, path: string][] = [
  ["POST", "/v1/registration/s"],
  ["DELETE", "/v1/registration/s/10.0.0.1"],
  ["POST", "/v1/loadbalancing/s"],
  ["POST", "/v1/loadbalancing/s/10.0.0.1"],
]

describe("where a token is set", () => {
  const lyft = sharedLyft({
    tokens: [
      { name: "ci", token: "secret-1" },
      { name: "ops", token: "secret-2" },
    ],
  })

  test.each([
    ["Bearer secret-1", "ci"],
    ["bearer secret-2", "ops"],
    [basic("meshwork", "secret-1"), "ci"],
    [basic("", "secret-2"), "ops"],
    [basic("any body", "secret-1").replace("Basic", "basic"), "ci"],
  ])("'%s' may change the registry, under the name of the token", async (authorization, name) => {
    const service = `s${name}${authorization.length}`
    const reply = await lyft().post(`/v1/registration/${service}`, hostForm(), { authorization })
    expect([reply.status, reply.text]).toEqual([200, "{}"])
    expect((await lyft().call(`/v1/journal?service=${service}`)).json.entries).toMatchObject([{ by: name }])
  })

  describe.each(mutations)("%s %s", (method, path) => {
    test.each([
      undefined,
      "",
      "Bearer",
      "Bearer wrong",
      "Basic",
      "Basic !!!",
      basic("secret-1", ""),
      basic("secret-1", "wrong"),
      basic("meshwork", "secret 1"),
      "secret-1",
      "Token secret-1",
    ])("is refused with '%s', asking for either scheme", async (authorization) => {
      const headers = { "content-type": "application/x-www-form-urlencoded", ...(authorization === undefined ? {} : { authorization }) }
      const body = method === "DELETE" ? {} : { body: "load_balancing_weight=5" }
      const reply = await lyft().call(path, { method, headers, ...body })
      expect(reply).toMatchObject({ status: 401, json: { code: "unauthorized" } })
      expect(reply.headers.get("www-authenticate")).toBe('Basic realm="meshwork", Bearer realm="meshwork"')
      expect(reply.text).not.toContain("secret-")
    })
  })

  test.each(["/healthcheck", "/v1/registration/s", "/v1/registration/repo/r"])("%s stays open", async (path) => {
    expect(await lyft().call(path)).toMatchObject({ status: 200 })
  })
})

it("a password may hold colons, and what is no Basic passes unchanged", () => {
  expect(bearerOf(basic("u", "a:b:c"))).toBe("Bearer a:b:c")
  expect(bearerOf("Bearer x")).toBe("Bearer x")
  expect(bearerOf(undefined)).toBeUndefined()
})

it("a storage that is down is 503 with Retry-After for changes, while queries answer", async () => {
  const storage = createMemoryStorage()
  const { register, call, post, addresses } = await startLyft({ storage })
  await register("s")
  storage.commit = async () => {
    throw new MeshError("storage_unavailable", "the storage is down")
  }
  const replies = [
    await register("s", { port: "81" }),
    await post("/v1/loadbalancing/s", { load_balancing_weight: "5" }),
    await post("/v1/loadbalancing/s/10.0.0.1", { load_balancing_weight: "5" }),
    await call("/v1/registration/s/10.0.0.1", { method: "DELETE" }),
  ]
  for (const reply of replies) {
    expect(reply).toMatchObject({ status: 503, json: { code: "storage_unavailable" } })
    expect(Number(reply.headers.get("retry-after"))).toBeGreaterThanOrEqual(1)
  }
  expect(await addresses("s")).toEqual(["10.0.0.1:8080"])
  expect(await register("s")).toMatchObject({ status: 200, text: "{}" })
})

it("one host too many is 429, and those that are known still check in", async () => {
  const { register } = await startLyft({ limits: { instances: 2 } })
  for (const port of ["1", "2"]) expect(await register("s", { port })).toMatchObject({ status: 200 })
  const reply = await register("s", { port: "3" })
  expect(reply).toMatchObject({ status: 429, json: { code: "limit_exceeded" } })
  expect(reply.headers.get("retry-after")).not.toBeNull()
  expect(await register("s", { port: "1" })).toMatchObject({ status: 200 })
})
