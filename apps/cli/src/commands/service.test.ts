import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { createDiscoveryApi } from "@meshwork/client-sdk/discovery"
import { runDiscovery, type RunningDiscovery } from "@meshwork/discovery-server"
import { pino } from "pino"
import { afterAll, beforeAll, expect, it } from "vitest"
import { run } from "../testing/fake-context.ts"

let discovery: RunningDiscovery
let other: Server
let otherUrl = ""

beforeAll(async () => {
  discovery = await runDiscovery({ port: 0, storage: "memory", log: pino({ level: "silent" }) })
  const api = createDiscoveryApi({ urls: [discovery.url] })
  await api.call("register", {
    params: { service: "orders", id: "o1" },
    body: { host: "10.0.0.1", port: 9000, weight: 7, zone: "eu-1", tags: { team: "a" } },
  })
  await api.call("register", { params: { service: "orders", id: "o0" }, body: { host: "::1", port: 9001, ttlSeconds: 0 } })
  await api.call("register", {
    params: { service: "payment", id: "p" },
    body: { host: "h", port: 1, check: { method: "http", frequencySeconds: 60 } },
  })
  other = createServer((_, response) => response.setHeader("content-type", "text/html").end("<h1>hello</h1>"))
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
  otherUrl = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
})
afterAll(async () => {
  await discovery.close()
  await new Promise((resolve) => other.close(resolve))
})

it("lists the instances of all services in order", async () => {
  const { code, stdout, stderr } = await run(["service", "list", "--server", discovery.url])
  expect([code, stderr]).toEqual([0, ""])
  const rows = stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/ {2,}/))
  expect(rows[0]).toEqual(["SERVICE", "INSTANCE", "ADDRESS", "STANDING", "HEALTH", "WEIGHT", "WHY"])
  expect(rows.slice(1).map((row) => row.slice(0, 3))).toEqual([
    ["orders", "o0", "[::1]:9001"],
    ["orders", "o1", "10.0.0.1:9000"],
    ["payment", "p", "h:1"],
  ])
  expect(rows[2]?.slice(3)).toEqual(["serving", "unknown", "7", "registered, no check declared"])
})

it("fits the table into a narrow terminal, and colours it only where asked", async () => {
  const plain = await run(["service", "list"], { env: { MESHWORK_SERVER: discovery.url }, columns: 72 })
  for (const line of plain.stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(72)
  expect(plain.stdout).not.toContain("\u001b")
  const coloured = await run(["service", "list"], { env: { MESHWORK_SERVER: discovery.url }, colour: true })
  expect(coloured.stdout).toContain("\u001b[32mserving\u001b[39m")
})

it.each(["--service", "--service-type"])("%s narrows the list", async (option) => {
  const { stdout } = await run(["service", "list", "--server", discovery.url, option, "payment", "--format", "json"])
  expect(JSON.parse(stdout)).toMatchObject([{ service: "payment", id: "p", port: 1, location: expect.stringMatching(/:1$/), ttl: expect.anything() }])
})

it("nothing registered is an empty result, not a failure", async () => {
  const table = await run(["service", "list", "--server", discovery.url, "--service", "nobody"])
  expect(table).toEqual({ code: 0, stdout: "", stderr: "the service nobody has no instances\n" })
  const json = await run(["service", "list", "--server", discovery.url, "--service", "nobody", "--format", "json"])
  expect(json.stdout).toBe("[]\n")
})

it("explains the verdict about an instance: what was probed, what came back, when the next probe is and what will change it", async () => {
  const api = createDiscoveryApi({ urls: [discovery.url] })
  const check = { method: "http" as const, path: "/health", frequencySeconds: 60, passAfter: 2 }
  await api.call("register", { params: { service: "explained", id: "e" }, body: { host: "127.0.0.1", port: 1, check } })
  const shown = async () => (await run(["service", "get", "explained", "e", "--server", discovery.url])).stdout
  await expect.poll(shown).toContain("last probe")
  const rows = Object.fromEntries((await shown()).split("\n").map((line) => [line.slice(0, 14).trim(), line.slice(14)]))
  const change = "2 good checks in a row will make it passing, one every 60 s"
  expect(rows["health"]).toMatch(new RegExp(`^failing since \\S+: connect to 127\\.0\\.0\\.1:1 refused after \\d+ ms; ${change} \\(by poller\\)$`))
  expect(rows["last probe"]).toMatch(/^unreachable at \S+ in \d+ ms: connection refused$/)
  expect(Date.parse(rows["next probe"] ?? "")).toBeGreaterThan(Date.now() + 50_000)
  expect(rows["verdict"]).toBe(change)
  const { stdout } = await run(["journal", "--service", "explained", "--server", discovery.url, "--format", "json"])
  expect(JSON.parse(stdout).at(-1)).toMatchObject({ what: "failing", by: "poller", why: expect.stringContaining(`refused after`) })
})

it("shows everything about one instance", async () => {
  const { code, stdout } = await run(["service", "get", "orders", "o1", "--server", discovery.url])
  expect(code).toBe(0)
  const rows = Object.fromEntries(
    stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/)),
  )
  expect(rows).toMatchObject({ service: "orders", address: "http://10.0.0.1:9000", standing: "serving: registered, no check declared" })
  expect(rows).toMatchObject({ weight: "7", zone: "eu-1", tags: '{"team":"a"}', origin: "api" })
  expect(rows["lease"]).toMatch(/^30 s, heard 2\d{3}-.*Z, ends 2\d{3}-.*Z$/)
  expect((await run(["service", "get", "orders", "o0", "--server", discovery.url])).stdout).toMatch(/lease +for ever\n/)
})

it("gives the same as JSON", async () => {
  const { stdout } = await run(["service", "get", "orders", "o1", "--server", discovery.url, "--format", "json"])
  expect(JSON.parse(stdout)).toMatchObject({ service: "orders", id: "o1", lease: { ttlSeconds: 30 } })
})

it("an unknown instance is a failure with one line", async () => {
  const { code, stdout, stderr } = await run(["service", "get", "orders", "o9", "--server", discovery.url])
  expect([code, stdout]).toEqual([1, ""])
  expect(stderr).toMatch(/^meshwork: .*o9.*\n$/)
})

it("asks the next server where one is down", async () => {
  const { code, stdout } = await run(["service", "list", "--server", `http://127.0.0.1:1,${discovery.url}`])
  expect(code).toBe(0)
  expect(stdout).toContain("orders")
})

it("a server that is down is named in one line", async () => {
  expect(await run(["service", "list", "--server", "http://127.0.0.1:1"])).toEqual({
    code: 1,
    stdout: "",
    stderr: "meshwork: no discovery server at http://127.0.0.1:1: ECONNREFUSED\n",
  })
})

it("another kind of server is told apart", async () => {
  const { code, stderr } = await run(["service", "list", "--server", otherUrl])
  expect([code, stderr]).toEqual([1, `meshwork: ${otherUrl} is not a Meshwork discovery server: it answered 200 with something else\n`])
})
