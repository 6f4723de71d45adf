import { routes } from "@meshwork/contract"
import { describe, expect, it, test } from "vitest"
import { startServer } from "./testing/server-bench.ts"

const instance = "/v1/services/payment/instances/a"
const registration = { host: "10.0.0.7", port: 9000 }

describe("registering", () => {
  it("answers 201 for a new instance and 200 for a known one", async () => {
    const { call } = await startServer()
    const first = await call(instance, { method: "PUT", body: { ...registration, zone: "eu-1" } })
    expect(first.status).toBe(201)
    expect(first.json.instance).toMatchObject({
      service: "payment",
      id: "a",
      host: "10.0.0.7",
      zone: "eu-1",
      state: "up",
      standing: "serving",
      origin: "api",
    })
    const second = await call(instance, { method: "PUT", body: registration })
    expect(second.status).toBe(200)
    expect(second.json.instance.zone).toBeUndefined()
  })

  it("shows the instance in lists, by id and by repository", async () => {
    const { call } = await startServer()
    await call(instance, { method: "PUT", body: { ...registration, repo: "payments" } })
    expect((await call("/v1/services")).json).toMatchObject({ epoch: expect.any(String), services: [{ name: "payment", instances: 1, serving: 1 }] })
    expect((await call("/v1/services/payment/instances")).json).toMatchObject({ service: "payment", instances: [{ id: "a" }] })
    const detail = await call(instance)
    expect(detail.json).toMatchObject({ id: "a", lease: { ttlSeconds: 30, renewedAt: expect.any(Number), expiresAt: expect.any(Number) } })
    expect((await call("/v1/instances?repo=payments")).json.instances).toMatchObject([{ id: "a" }])
    expect((await call("/v1/instances?repo=other")).json.instances).toEqual([])
    expect((await call("/v1/services/nothing/instances")).json).toMatchObject({ service: "nothing", instances: [] })
  })

  it("decodes names and ids, and keeps their case", async () => {
    const { call } = await startServer()
    const path = `/v1/services/${encodeURIComponent("Pay ment")}/instances/${encodeURIComponent("10.0.0.7:9000#%")}`
    expect((await call(path, { method: "PUT", body: registration })).status).toBe(201)
    expect((await call(path)).json).toMatchObject({ service: "Pay ment", id: "10.0.0.7:9000#%" })
  })

  it("filters lists and refuses unknown filters", async () => {
    const { call } = await startServer()
    await call(instance, { method: "PUT", body: { ...registration, zone: "eu-1", tags: { env: "production" } } })
    await call("/v1/services/payment/instances/b", { method: "PUT", body: { ...registration, port: 9001, zone: "eu-2", canary: true } })
    const ids = async (query: string) => (await call(`/v1/services/payment/instances?${query}`)).json.instances.map(({ id }: { id: string }) => id)
    expect(await ids("zone=eu-1")).toEqual(["a"])
    expect(await ids("canary=true")).toEqual(["b"])
    expect(await ids("tag=env:production")).toEqual(["a"])
    expect(await ids("standing=serving")).toEqual(["a", "b"])
    const refused = await call("/v1/services/payment/instances?zones=eu-1")
    expect(refused.json).toMatchObject({ code: "invalid_request", detail: "query: zones: unknown field" })
  })
})

it("answers an unchanged list with 304, and a changed or otherwise filtered one whole", async () => {
  const { call } = await startServer()
  await call(instance, { method: "PUT", body: registration })
  const first = await call("/v1/services/payment/instances")
  const etag = first.headers.get("etag") ?? ""
  expect(etag).toBe(`"${first.json.epoch}.${first.json.revision}.all"`)
  const same = await call("/v1/services/payment/instances", { headers: { "if-none-match": etag } })
  expect([same.status, same.text, same.headers.get("etag")]).toEqual([304, "", etag])
  expect((await call("/v1/services/payment/instances?zone=eu-1", { headers: { "if-none-match": etag } })).status).toBe(200)
  await call(`${instance}/heartbeat`, { method: "PUT" })
  expect((await call("/v1/services/payment/instances", { headers: { "if-none-match": etag } })).status).toBe(304)
  await call(instance, { method: "PATCH", body: { weight: 5 } })
  expect((await call("/v1/services/payment/instances", { headers: { "if-none-match": etag } })).status).toBe(200)
})

describe("heartbeats", () => {
  it("renew with and without a body, and say until when", async () => {
    const { call } = await startServer()
    await call(instance, { method: "PUT", body: { ...registration, boot: "b1" } })
    expect(await call(`${instance}/heartbeat`, { method: "PUT" })).toMatchObject({ status: 200, json: { expiresAt: expect.any(Number) } })
    expect((await call(`${instance}/heartbeat`, { method: "PUT", body: { boot: "b1", load: { inFlight: 3 } } })).status).toBe(200)
    expect((await call(instance)).json.load).toEqual({ inFlight: 3 })
  })

  it("of strangers and predecessors get 404", async () => {
    const { call } = await startServer()
    await call(instance, { method: "PUT", body: { ...registration, boot: "b2" } })
    expect((await call(`${instance}/heartbeat`, { method: "PUT", body: { boot: "b1" } })).json).toMatchObject({ code: "not_found", status: 404 })
    expect((await call("/v1/services/payment/instances/nobody/heartbeat", { method: "PUT" })).status).toBe(404)
  })

  it("come in batches, answered in order", async () => {
    const { call } = await startServer()
    await call(instance, { method: "PUT", body: registration })
    const beats = [
      { service: "payment", id: "nobody" },
      { service: "payment", id: "a" },
    ]
    const { status, json } = await call("/v1/heartbeats", { method: "POST", body: { beats } })
    expect(status).toBe(200)
    expect(json.results).toMatchObject([
      { id: "nobody", status: 404 },
      { id: "a", status: 200, expiresAt: expect.any(Number) },
    ])
  })
})

describe("operators", () => {
  it("set weight and state, take them back, and the journal tells who", async () => {
    const { call } = await startServer()
    await call(instance, { method: "PUT", body: registration })
    expect((await call(instance, { method: "PATCH", body: { weight: 10, state: "draining" } })).json.instance).toMatchObject({
      weight: 10,
      standing: "draining",
    })
    expect((await call(instance)).json.override).toMatchObject({ weight: 10, state: "draining", by: "api 127.0.0.1" })
    const back = await call(instance, { method: "PATCH", body: { weight: null, state: null } })
    expect(back.json.instance).toMatchObject({ standing: "serving" })
    const { entries } = (await call("/v1/journal?service=payment&limit=10")).json
    expect(entries.length).toBeGreaterThanOrEqual(3)
    expect(entries[0]).toMatchObject({ service: "payment", id: "a", by: "api 127.0.0.1" })
    expect((await call("/v1/journal?limit=1")).json.entries).toHaveLength(1)
  })

  it("delete without a boot; a process only its own registration", async () => {
    const { call } = await startServer()
    await call(instance, { method: "PUT", body: { ...registration, boot: "b2" } })
    expect((await call(`${instance}?boot=b1`, { method: "DELETE" })).status).toBe(404)
    expect(await call(instance, { method: "DELETE" })).toMatchObject({ status: 204, text: "" })
    expect((await call(instance, { method: "DELETE" })).status).toBe(404)
    expect((await call(instance)).json).toMatchObject({ code: "not_found", detail: "payment/a is not registered" })
  })
})

describe("tokens", () => {
  const tokens = [
    { name: "ci", token: "secret-1" },
    { name: "ops", token: "secret-2" },
  ]

  const mutating = Object.values(routes).filter((route) => "mutates" in route)
  test.each(mutating.map(({ method, path }) => ({ method, path: path.replace(/:\w+/g, "x") })))(
    "$method $path needs one",
    async ({ method, path }) => {
      const { call } = await startServer({ tokens })
      for (const headers of [{}, { authorization: "Bearer wrong" }]) {
        const reply = await call(path, { method, headers, ...(method === "DELETE" ? {} : { body: "{" }) })
        expect(reply).toMatchObject({ status: 401, json: { code: "unauthorized" } })
        expect(reply.headers.get("www-authenticate")).toMatch(/^Bearer/)
      }
    },
  )

  it("leave reads open and put their name into the journal", async () => {
    const { call } = await startServer({ tokens })
    await call(instance, { method: "PUT", body: registration, headers: { authorization: "Bearer secret-2" } })
    expect((await call("/v1/services")).json.services).toHaveLength(1)
    expect((await call("/v1/journal")).json.entries[0]).toMatchObject({ by: "ops" })
  })

  it("are needed to be reachable for others, unless told otherwise", async () => {
    await expect(startServer({ host: "0.0.0.0" })).rejects.toMatchObject({ code: "invalid_config", message: expect.stringContaining("--insecure") })
    const open = await startServer({ host: "0.0.0.0", insecure: true })
    expect(open.url).toMatch(/^http:\/\/0\.0\.0\.0:\d+$/)
  })
})

describe("the server", () => {
  it("says that it runs and is ready", async () => {
    const { call } = await startServer()
    expect(await call("/health")).toMatchObject({ status: 200, text: '{"status":"Discovery Server running"}' })
    expect(await call("/ready")).toMatchObject({ status: 200, json: { ready: true, reasons: [] } })
  })

  it("names the port and the option when the port is taken", async () => {
    const { url } = await startServer()
    const port = Number(new URL(url).port)
    const message = expect.stringMatching(new RegExp(`port ${port} on 127\\.0\\.0\\.1 is taken.*--port.*MESHWORK_DISCOVERY_PORT`))
    await expect(startServer({ port })).rejects.toMatchObject({ code: "invalid_config", message })
  })

  it("refuses an address that is not of this machine", async () => {
    await expect(startServer({ host: "192.0.2.1", insecure: true })).rejects.toMatchObject({
      code: "invalid_config",
      message: expect.stringContaining("--host"),
    })
  })
})

describe("instances from the configuration", () => {
  it("never expire, and go when the configuration no longer names them", async () => {
    const one = { service: "payment", id: "127.0.0.1:9001", registration: { host: "127.0.0.1", port: 9001 } }
    const two = { service: "payment", id: "127.0.0.1:9002", registration: { host: "127.0.0.1", port: 9002 } }
    const server = await startServer({ instances: [one, two] })
    const list = async () => (await server.call("/v1/services/payment/instances")).json.instances
    expect(await list()).toMatchObject([
      { id: "127.0.0.1:9001", origin: "config", ttlSeconds: 0 },
      { id: "127.0.0.1:9002", origin: "config", ttlSeconds: 0 },
    ])
    await server.call(instance, { method: "PUT", body: registration })
    await server.applyInstances([two])
    expect(await list()).toMatchObject([{ id: "127.0.0.1:9002" }, { id: "a" }])
  })

  it("leave alone what registered itself under the same id", async () => {
    const server = await startServer()
    await server.call(instance, { method: "PUT", body: registration })
    await server.applyInstances([{ service: "payment", id: "a", registration: { host: "127.0.0.1", port: 1 } }])
    expect((await server.call(instance)).json).toMatchObject({ origin: "api", port: 9000 })
  })
})
