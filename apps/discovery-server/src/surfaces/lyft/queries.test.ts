import { describe, expect, it, test } from "vitest"
import { type LyftBench, requiredTags, startLyft } from "../../testing/lyft-bench.ts"

const native = (bench: LyftBench, service: string, id: string, body: object) =>
  bench.call(`/v1/services/${service}/instances/${id}`, { method: "PUT", body })

it("the health check is OK", async () => {
  const { call } = await startLyft()
  const reply = await call("/healthcheck")
  expect([reply.status, reply.text]).toEqual([200, "OK"])
  expect(reply.headers.get("content-type")).toMatch(/^text\/plain/)
})

describe("the list of a service", () => {
  it("names service, environment and hosts, in this order", async () => {
    const { call, register } = await startLyft()
    expect((await call("/v1/registration/payment")).text).toBe('{"service":"payment","env":"development","hosts":[]}')
    const before = Date.now()
    await register("payment")
    const { text, json, headers } = await call("/v1/registration/payment")
    const [host] = json.hosts
    expect(headers.get("content-type")).toMatch(/^application\/json/)
    expect(headers.get("cache-control")).toBeNull()
    expect(text).toBe(JSON.stringify({ service: "payment", env: "development", hosts: json.hosts }))
    expect(host).toEqual({
      ip_address: "10.0.0.1",
      last_check_in: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00:00$/),
      port: 8080,
      revision: "cafe01",
      service: "payment",
      service_repo_name: "payments",
      tags: requiredTags,
    })
    const at = Date.parse(host.last_check_in.replace(" ", "T"))
    expect(at).toBeGreaterThanOrEqual(before)
    expect(at).toBeLessThanOrEqual(Date.now())
  })

  it("says which environment it is of, whatever its name", async () => {
    const { call } = await startLyft({ lyft: { environment: 'pro"duction' } })
    expect((await call("/v1/registration/a")).json.env).toBe('pro"duction')
    expect((await call("/v1/registration/repo/a")).json.env).toBe('pro"duction')
  })

  it("is ordered by ip, then port", async () => {
    const { register, addresses } = await startLyft()
    for (const ip of ["10.0.0.3", "10.0.0.1", "fd00::1", "10.0.0.2"]) for (const port of ["9000", "80", "443"]) await register("s", { ip, port })
    expect(await addresses("s")).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"].flatMap((ip) => [`${ip}:80`, `${ip}:443`, `${ip}:9000`]))
  })

  it("holds several hosts on one ip, and several services apart", async () => {
    const { register, addresses } = await startLyft()
    await register("a", { port: "1" })
    await register("a", { port: "2" })
    await register("b", { port: "1" })
    expect([await addresses("a"), await addresses("b"), await addresses("A")]).toEqual([["10.0.0.1:1", "10.0.0.1:2"], ["10.0.0.1:1"], []])
  })

  it("shows native instances with what they have", async () => {
    const bench = await startLyft()
    await native(bench, "s", "bare", { host: "10.0.0.1", port: 1 })
    const all = { zone: "z", region: "r", revision: "v", repo: "p", weight: 3, canary: true, tags: { instance_id: "i", team: ["x"] } }
    await native(bench, "s", "full", { host: "10.0.0.2", port: 2, ...all })
    await native(bench, "s", "six", { host: "[FD00::0:1]", port: 3, canary: false })
    expect(await bench.hosts("s")).toMatchObject([
      { ip_address: "10.0.0.1", revision: "", service_repo_name: "", tags: { az: "", region: "", instance_id: "" } },
      {
        ip_address: "10.0.0.2",
        revision: "v",
        service_repo_name: "p",
        tags: { az: "z", region: "r", instance_id: "i", team: ["x"], load_balancing_weight: 3, canary: true },
      },
      { ip_address: "fd00::1", tags: { canary: false } },
    ])
    expect((await bench.hosts("s"))[0].tags).toEqual({ az: "", region: "", instance_id: "" })
    expect((await bench.hosts("s"))[2].tags).not.toHaveProperty("load_balancing_weight")
  })

  it("leaves out instances with a DNS name, draining and disabled ones, and shows them again when they are up", async () => {
    const bench = await startLyft()
    await native(bench, "s", "dns", { host: "host.example.com", port: 1 })
    for (const id of ["a", "b", "c"]) await native(bench, "s", id, { host: `10.0.0.${id.charCodeAt(0)}`, port: 1 })
    const state = (id: string, wanted: string | null) => bench.call(`/v1/services/s/instances/${id}`, { method: "PATCH", body: { state: wanted } })
    await state("a", "draining")
    await state("b", "disabled")
    expect(await bench.addresses("s")).toEqual(["10.0.0.99:1"])
    await state("a", "up")
    await state("b", null)
    expect(await bench.addresses("s")).toEqual(["10.0.0.97:1", "10.0.0.98:1", "10.0.0.99:1"])
  })

  it("shows hosts whatever their health", async () => {
    const bench = await startLyft()
    const check = { method: "http", path: "/health", frequencySeconds: 0.1, timeoutSeconds: 0.2 }
    await native(bench, "s", "a", { host: "127.0.0.1", port: 1, check })
    expect(await bench.addresses("s")).toEqual(["127.0.0.1:1"])
    await expect.poll(async () => (await bench.call("/v1/services/s/instances/a")).json.health.status).toBe("failing")
    expect(await bench.addresses("s")).toEqual(["127.0.0.1:1"])
  })

  it("shows an address once that is registered twice: its own word counts more than the configuration's", async () => {
    const instance = { service: "s", id: "from-file", registration: { host: "10.0.0.1", port: 8080, revision: "file" } }
    const bench = await startLyft({ instances: [instance] })
    expect(await bench.hosts("s")).toMatchObject([{ revision: "file" }])
    await native(bench, "s", "a", { host: "10.0.0.1", port: 8080, revision: "native" })
    expect(await bench.hosts("s")).toMatchObject([{ revision: "native" }])
    expect(await bench.hosts("s")).toHaveLength(1)
  })
})

describe("the list of a repository", () => {
  it("holds its hosts of all services and no others, under the key service_repo_name", async () => {
    const { call, register } = await startLyft()
    await register("b", { service_repo_name: "shop" })
    await register("a", { service_repo_name: "shop", ip: "10.0.0.2" })
    await register("a", { service_repo_name: "shop", port: "80" })
    await register("a", { service_repo_name: "other", ip: "10.0.0.3" })
    await register("a", { service_repo_name: undefined, ip: "10.0.0.4" })
    const { json, text } = await call("/v1/registration/repo/shop")
    expect(Object.keys(json)).toEqual(["service_repo_name", "env", "hosts"])
    expect(text).toMatch(/^\{"service_repo_name":"shop","env":"development","hosts":\[\{/)
    const shown = json.hosts.map((host: Record<string, unknown>) => [host["service"], host["ip_address"], host["port"]])
    expect(shown).toEqual([
      ["a", "10.0.0.1", 80],
      ["b", "10.0.0.1", 8080],
      ["a", "10.0.0.2", 8080],
    ])
  })

  it("shows one address under each of its services", async () => {
    const { call, register } = await startLyft()
    await register("a")
    await register("b")
    const { hosts } = (await call("/v1/registration/repo/payments")).json
    expect(hosts.map(({ service }: { service: string }) => service)).toEqual(["a", "b"])
  })

  test.each(["nothing", "repo", "%20", "gr%C3%B6sse", "a%2Fb", "x".repeat(300), "10.0.0.1"])("is empty for %s", async (repo) => {
    const { call, register } = await startLyft()
    await register("repo")
    const reply = await call(`/v1/registration/repo/${repo}`)
    expect([reply.status, reply.json]).toEqual([200, { service_repo_name: decodeURIComponent(repo), env: "development", hosts: [] }])
  })

  it("is found by a name that needs encoding", async () => {
    const { call, register } = await startLyft()
    await register("a", { service_repo_name: "größe & more/less" })
    const { json } = await call(`/v1/registration/repo/${encodeURIComponent("größe & more/less")}`)
    expect(json.hosts).toHaveLength(1)
  })

  it("leaves out what the list of the service leaves out", async () => {
    const bench = await startLyft()
    await native(bench, "s", "dns", { host: "host.example.com", port: 1, repo: "r" })
    await native(bench, "s", "a", { host: "10.0.0.1", port: 1, repo: "r" })
    await native(bench, "s", "b", { host: "10.0.0.2", port: 1, repo: "r" })
    await bench.call("/v1/services/s/instances/b", { method: "PATCH", body: { state: "draining" } })
    const { hosts } = (await bench.call("/v1/registration/repo/r")).json
    expect(hosts.map((host: Record<string, unknown>) => host["ip_address"])).toEqual(["10.0.0.1"])
  })
})

describe("caching", () => {
  it("is announced on both queries where it is asked for, and answers are never stale", async () => {
    const { call, register, hosts } = await startLyft({ lyft: { cacheSeconds: 30 } })
    for (const path of ["/v1/registration/s", "/v1/registration/repo/payments"])
      expect((await call(path)).headers.get("cache-control"), path).toBe("max-age=30")
    expect(await hosts("s")).toEqual([])
    const posted = await register("s")
    expect(posted.headers.get("cache-control")).toBeNull()
    expect(await hosts("s")).toHaveLength(1)
    expect((await call("/healthcheck")).headers.get("cache-control")).toBeNull()
  })
})

describe("a method that a path does not take", () => {
  const host = "/v1/registration/s/10.0.0.1"
  test.each([
    ["POST", "/healthcheck", "GET, HEAD"],
    ["PUT", "/v1/registration/s", "GET, HEAD, POST"],
    ["PATCH", "/v1/registration/s", "GET, HEAD, POST"],
    ["DELETE", "/v1/registration/s", "GET, HEAD, POST"],
    ["OPTIONS", "/v1/registration/s", "GET, HEAD, POST"],
    ["GET", host, "DELETE"],
    ["HEAD", host, "DELETE"],
    ["POST", host, "DELETE"],
    ["PUT", host, "DELETE"],
    ["POST", "/v1/registration/repo/payments", "DELETE, GET, HEAD"],
    ["PUT", "/v1/registration/repo/payments", "DELETE, GET, HEAD"],
    ["GET", "/v1/loadbalancing/s", "POST"],
    ["PUT", "/v1/loadbalancing/s", "POST"],
    ["DELETE", "/v1/loadbalancing/s", "POST"],
    ["GET", "/v1/loadbalancing/s/10.0.0.1", "POST"],
    ["PATCH", "/v1/loadbalancing/s/10.0.0.1", "POST"],
  ])("%s %s is 405 and says which ones it takes", async (method, path, allowed) => {
    const { call } = await startLyft()
    const reply = await call(path, { method })
    expect([reply.status, reply.headers.get("allow")]).toEqual([405, allowed])
  })

  test.each(["/healthcheck", "/v1/registration/s", "/v1/registration/repo/r"])("HEAD %s is GET without its body", async (path) => {
    const { call } = await startLyft()
    expect(await call(path, { method: "HEAD" })).toMatchObject({ status: 200, text: "" })
  })

  test.each(["/v1/registration", "/v1/loadbalancing", "/v1/registration/s/10.0.0.1/x", "/v1/registration/repo/a/b", "/healthcheck/"])(
    "%s does not exist",
    async (path) => {
      const { call } = await startLyft()
      expect(await call(path)).toMatchObject({ status: 404 })
    },
  )
})
