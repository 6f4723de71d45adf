import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { type CheckedService, startCheckedService } from "./support/checked-service.ts"
import { eventually } from "./support/eventually.ts"
import { getOk } from "./support/mesh.ts"
import { createRemoteHost, namespacesMissing } from "./support/network-namespace.ts"
import { freePorts, launch, meshwork, scratchFolder } from "./support/programs.ts"

interface Stats {
  service_statistics: { instance_url: string; service_name: string; stats_packets: { final_status: string }[] }[]
  services: Record<string, { serving: number; total: number; status: string }>
  request_statistics: { services: Record<string, { success: number; error: number }> }[]
}

/** Runs `meshwork up` over a file of ServerPy with these services. */
async function up(services: object, name = "test.json", write: (document: unknown) => string = JSON.stringify) {
  const folder = scratchFolder()
  const [discovery, processor, admin] = await freePorts(3)
  const meta = { discovery_server_name: "My Discovery Server", discovery_server_port: discovery, request_processor_port: processor }
  writeFileSync(join(folder, name), write({ "meta-info": meta, ...services }))
  const program = meshwork("up", ["up", "-c", name, "--admin-port", String(admin)], { cwd: folder })
  const [discoveryUrl, url] = [`http://127.0.0.1:${discovery}`, `http://127.0.0.1:${processor}`]
  const stats = async () => (await getOk(`${discoveryUrl}/stats`)) as Stats
  const serving = (service: string, count: number) =>
    eventually(`${count} of ${service} serve`, 15_000, async () => expect((await stats()).services[service]?.serving).toBe(count))
  await eventually("it is up", 15_000, () => expect(program.stderr()).toContain("meshwork is up"))
  return { folder, program, discoveryUrl, url, stats, serving }
}

const pingMissing = spawnSync("ping", ["-V"]).status !== 0
if (pingMissing && (process.env["MESHWORK_REQUIRE"] ?? "").split(",").includes("ping")) throw new Error("ping is required, and not installed")
const polling = { method: "health", endpoint: "/health", frequency: 0.25 }
/** Who answers so many requests, each name once. */
async function answering(url: string, count = 20): Promise<string[]> {
  const names = await Promise.all(Array.from({ length: count }, async () => (await fetch(url)).headers.get("x-from") ?? "nobody"))
  return [...new Set(names)].toSorted()
}
const answers = (url: string, ...names: string[]) =>
  eventually(`${names.join(" and ")} answer`, 15_000, async () => expect(await answering(url)).toEqual(names.length === 0 ? ["nobody"] : names))

it("polls, forwards and counts what a file of ServerPy asks for, and writes it down", async () => {
  const [one, two] = [await startCheckedService("one"), await startCheckedService("two")]
  const { folder, discoveryUrl, url, stats, serving } = await up({
    first: { servers: { [one.address]: { ...polling, priority: "high" } }, apis: ["/first", "/first/deep"] },
    second: { servers: [two.address], polling: { ...polling, retries: 1, retry_delay: 0.1, packet_limit: 3 }, apis: ["/second"] },
  })
  await serving("first", 1)
  await serving("second", 1)
  await answers(`${url}/first`, "one")

  for (const [path, seen] of [
    ["/first?b=2&a=%20x", "/first?b=2&a=%20x"],
    ["/first/", "/first/"],
    ["/first/deep/?q", "/first/deep/?q"],
  ] as const) {
    expect((await fetch(url + path)).status, path).toBe(200)
    expect(one.requests.at(-1)?.url).toBe(seen)
  }
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    const response = await fetch(`${url}/second?status=207`, { method, body: "some text", headers: { "x-mine": "yes", "content-type": "text/csv" } })
    expect([response.status, await response.text()]).toEqual([207, "two took 9"])
    expect(two.requests.at(-1)).toMatchObject({ method, body: "some text", headers: { "x-mine": "yes", "content-type": "text/csv" } })
  }
  for (const path of ["/FIRST", "/first/other", "/firs", "/first//", "/", "/second/x"]) {
    const response = await fetch(url + path)
    const body = await response.json()
    if (path === "/") expect([response.status, body]).toEqual([200, { status: "Success" }])
    else expect([response.status, body], path).toMatchObject([404, { status: "No API found with provided endpoint", code: "no_route" }])
  }

  expect(await getOk(`${discoveryUrl}/health`)).toEqual({ status: "Discovery Server running", name: "My Discovery Server" })
  const now = await stats()
  expect(now.service_statistics.map(({ instance_url, service_name }) => [instance_url, service_name])).toEqual([
    [one.address, "first"],
    [two.address, "second"],
  ])
  await eventually("the requests are reported", 15_000, async () =>
    expect((await stats()).request_statistics[0]?.services["second"]).toMatchObject({ success: 5 }),
  )
  const { file } = (await getOk(`${discoveryUrl}/dump`)) as { file: string }
  expect(file).toBe(join(folder, ".meshwork", "dump.json"))
  expect(JSON.parse(readFileSync(file, "utf8")).services.first).toEqual({ serving: 1, total: 1, status: "up" })

  // Each is polled by one process, not by two.
  const from = performance.now()
  await eventually("ten more checks", 15_000, () => expect(one.checks.filter((at) => at > from).length).toBeGreaterThanOrEqual(10))
  expect(performance.now() - from).toBeGreaterThan(10 * 250 * 0.9)
})

it("chooses by priority, high before med before low and none, and only among those that serve", async () => {
  const names = ["high", "med", "low", "unset"] as const
  const services = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await startCheckedService(name)] as const))) as Record<
    (typeof names)[number],
    CheckedService
  >
  const servers = Object.fromEntries(names.map((name) => [services[name].address, name === "unset" ? polling : { ...polling, priority: name }]))
  const { url, serving, stats } = await up({ api: { servers, apis: ["/a"] } }, "test.yml")
  await serving("api", 4)
  await answers(`${url}/a`, "high")
  services.high.health = 500
  await answers(`${url}/a`, "med")
  services.med.health = 301
  await answers(`${url}/a`, "low", "unset")
  services.low.health = 0
  await answers(`${url}/a`, "unset")
  services.med.health = 204
  await answers(`${url}/a`, "med")
  for (const name of names) services[name].health = 404
  await eventually("nobody is left", 15_000, async () => expect((await fetch(`${url}/a`)).status).toBe(503))
  expect((await stats()).services["api"]).toEqual({ serving: 0, total: 4, status: "down" })
})

it("chooses who is available more often, and answers 502 where nobody can be reached", async () => {
  const [steady, shaky] = [await startCheckedService("steady"), await startCheckedService("shaky")]
  shaky.health = 500
  const { url, serving } = await up({
    api: { servers: [steady.address, shaky.address], polling: { ...polling, frequency: 0.2 }, apis: ["/a"] },
    rare: { servers: [steady.address], polling: { ...polling, frequency: 3600 }, apis: ["/rare"] },
  })
  await serving("api", 1)
  await serving("rare", 1)
  await eventually("three checks failed", 15_000, () => expect(shaky.checks.length).toBeGreaterThan(3))
  shaky.health = 200
  await serving("api", 2)
  await answers(`${url}/a`, "steady")
  await steady.stop()
  await answers(`${url}/a`, "shaky")
  const unreachable = await fetch(`${url}/rare`)
  expect([unreachable.status, unreachable.headers.get("content-type")]).toEqual([502, "application/problem+json"])
})

it.skipIf(namespacesMissing !== undefined || pingMissing)("pings a host where no port is given, and connects where one is", async () => {
  const host = createRemoteHost(8)
  const [port] = await freePorts(1)
  const program = 'require("net").createServer((socket) => socket.end()).listen(+process.argv[2], process.argv[1], () => console.log("listens"))'
  const [command, ...args] = [...host.within, process.execPath, "-e", program, host.address, String(port)]
  const server = launch("server", command ?? "", args)
  await eventually("it listens", 15_000, () => expect(server.stdout()).toContain("listens"))
  const ping = { method: "ping", frequency: 0.5 }
  const { stats, serving } = await up({ api: { servers: { [host.address]: ping, [`http://${host.address}:${port}`]: ping }, apis: ["/a"] } })
  const last = async () => {
    const { service_statistics: rows } = await stats()
    return Object.fromEntries(rows.map(({ instance_url, stats_packets }) => [instance_url, stats_packets.at(-1)?.final_status]))
  }
  await serving("api", 2)
  expect(await last()).toEqual({ [host.address]: "active", [`http://${host.address}:${port}`]: "active" })
  server.kill("SIGKILL")
  const gone = { [host.address]: "active", [`http://${host.address}:${port}`]: "service unreachable" }
  await eventually("the port is closed", 5000, async () => expect(await last()).toEqual(gone))
  host.cut()
  await eventually("the host is silent", 15_000, async () => expect(await last()).toEqual({ ...gone, [host.address]: "inactive" }))
  await serving("api", 0)
})

it("runs as two programs too: the request processor asks and tells the discovery server, and polls by itself while there is none", async () => {
  const one = await startCheckedService("one")
  const folder = scratchFolder()
  const [discovery, processor, admin] = await freePorts(3)
  const meta = { discovery_server_port: discovery, request_processor_port: processor }
  writeFileSync(join(folder, "test.json"), JSON.stringify({ "meta-info": meta, api: { servers: [one.address], polling, apis: ["/a"] } }))
  meshwork("gateway", ["gateway", "-c", "test.json", "--admin-port", String(admin)], { cwd: folder })
  const url = `http://127.0.0.1:${processor}/a`
  await eventually("it answers alone", 15_000, async () => expect((await fetch(url)).status).toBe(200))
  expect(one.checkedBy).toEqual(new Set(["meshwork-gateway"]))
  meshwork("discovery", ["discovery", "-c", "test.json"], { cwd: folder })
  const stats = async () => (await getOk(`http://127.0.0.1:${discovery}/stats`)) as Stats
  await eventually("its requests are reported", 20_000, async () =>
    expect((await stats()).request_statistics[0]?.services["api"]?.success).toBeGreaterThan(0),
  )
  await eventually("only the discovery server polls", 15_000, async () => {
    one.checkedBy.clear()
    await eventually("it is polled", 5000, () => expect(one.checkedBy.size).toBeGreaterThan(0))
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect(one.checkedBy).toEqual(new Set(["meshwork-health"]))
  })
  one.health = 500
  await eventually("what the discovery server finds counts", 5000, async () => expect((await fetch(url)).status).toBe(503))
})

it("a file that cannot be used names every fault with service and instance, and ends with 2", async () => {
  const folder = scratchFolder()
  const file = join(folder, "test.json")
  const cases: [string, string[]][] = [
    ["", ["is empty"]],
    ["{", []],
    [
      JSON.stringify({
        a: {
          servers: { "x:1": { method: "pong" }, "x:2": { method: "health" }, "x:3": { method: "ping", retries: 1, priority: "top" } },
          apis: ["/a"],
        },
        b: { servers: "x:1", polling: { method: "ping", frequency: "often" }, apis: [] },
        c: { servers: [], apis: ["/a"], extra: 1 },
      }),
      ['a.servers["x:1"].method', 'a.servers["x:2"].endpoint', 'a.servers["x:3"].retry_delay', 'a.servers["x:3"].priority'].concat([
        "b.servers:",
        "b.polling.frequency",
        "b.apis",
        "c.servers",
        "c.polling",
        "c.extra",
        'both "a" and "c"',
      ]),
    ],
  ]
  for (const [text, faults] of cases) {
    writeFileSync(file, text)
    const program = meshwork("up", ["up", "-c", file], { cwd: folder })
    expect(await program.ended).toBe(2)
    for (const fault of faults) expect(program.stderr()).toContain(fault)
    expect(program.stderr()).toContain(file)
    expect(program.stderr()).not.toMatch(/^\s+at /m)
  }
})
