import type { ServiceSnapshot } from "@meshwork/contract"
import { ManualClock, seededRandom, settle } from "@meshwork/contract/testing"
import { afterEach, beforeEach, expect, it } from "vitest"
import { createDockerSource, type DockerSourceOptions } from "./create-docker-source.ts"
import type { DockerSource } from "./docker-source.ts"
import type { DockerRoute } from "./instances.ts"
import { FakeEngine } from "./testing/fake-engine.ts"
import { sampleContainer } from "./testing/sample-container.ts"

let clock: ManualClock
let engine: FakeEngine
let log: string[]
let source: DockerSource
const never = new AbortController().signal
const pay = { app_name: "payment" }
const one = sampleContainer({ name: "one", labels: pay })
const two = sampleContainer({ name: "two", labels: pay, ports: [{ privatePort: 8000, publicPort: 2, ip: "0.0.0.0", type: "tcp" }] })

beforeEach(() => {
  clock = new ManualClock()
  engine = new FakeEngine()
  log = []
})
afterEach(() => source.close())

function follow(options: Partial<DockerSourceOptions> = {}): ServiceSnapshot[] {
  source = createDockerSource({
    engine,
    backends: { payment: { matchLabels: pay } },
    vantage: { publicHost: "127.0.0.1", loopback: true },
    clock,
    random: seededRandom(1),
    log: (level, message) => log.push(`${level} ${message}`),
    ...options,
  })
  return collected(source.watch("payment", never))
}

function collected<T>(values: AsyncIterable<T>): T[] {
  const seen: T[] = []
  void (async () => {
    for await (const value of values) seen.push(value)
  })()
  return seen
}

const standings = (snapshot: ServiceSnapshot | undefined) => snapshot?.instances.map(({ port, standing }) => `${port} ${standing}`).join()

it("lists what is there, and again after an event", async () => {
  engine.containers = [one]
  const seen = follow()
  await clock.advance(0)
  expect(seen.map(standings)).toEqual(["32768 serving"])
  expect(seen[0]).toMatchObject({ service: "payment", at: clock.now(), instances: [{ id: one.id.slice(0, 12), origin: "docker" }] })
  engine.containers = [one, two]
  engine.say("start", two.id)
  await clock.advance(20)
  expect(seen.length).toBe(2)
  expect(standings(seen[1])?.split(",").toSorted()).toEqual(["2 serving", "32768 serving"])
})

it("goes by other backends at once, without another list", async () => {
  engine.containers = [one, sampleContainer({ name: "three", labels: { app_name: "orders" } })]
  const seen = follow()
  const orders = collected(source.watch("orders", never))
  const names = collected(source.services(never))
  await clock.advance(0)
  expect([standings(seen.at(-1)), standings(orders.at(-1))]).toEqual(["32768 serving", ""])
  source.setBackends({ orders: { matchLabels: { app_name: "orders" } } })
  await settle()
  expect([standings(seen.at(-1)), standings(orders.at(-1)), engine.lists]).toEqual(["", "32768 serving", 1])
  expect(names.at(-1)).toEqual(["orders"])
})

it("a hundred events at once are one or two lists, and never two at a time", async () => {
  follow()
  await clock.advance(0)
  const release = engine.hold()
  for (let n = 0; n < 50; n++) engine.say("start", `${n}`)
  await clock.advance(30)
  engine.containers = [one]
  for (let n = 50; n < 100; n++) engine.say("start", `${n}`)
  await clock.advance(1000)
  expect(engine.lists).toBe(2)
  release()
  await clock.advance(4000)
  expect([engine.lists, engine.concurrent]).toEqual([3, 1])
  expect(source.status().containers).toBe(1)
})

it("health checks and shells in a container cause no list", async () => {
  follow()
  await clock.advance(0)
  for (const action of ["exec_create: /bin/true", "exec_start: /bin/true", "exec_die", "attach", "resize", "top", "create"])
    engine.say(action, one.id)
  await clock.advance(1000)
  expect(engine.lists).toBe(1)
  for (const action of ["health_status: healthy", "rename", "update", "pause", "something new"]) {
    const before = engine.lists
    engine.say(action, one.id)
    await clock.advance(100)
    expect(engine.lists, action).toBe(before + 1)
  }
  engine.say("disconnect", one.id, { type: "network" })
  await clock.advance(100)
  expect(engine.lists).toBe(7)
})

it("lists every 30 s though nothing was heard", async () => {
  const seen = follow()
  await clock.advance(0)
  engine.containers = [one]
  await clock.advance(29_000)
  expect(seen.map(standings)).toEqual([""])
  await clock.advance(1100)
  expect(seen.map(standings)).toEqual(["", "32768 serving"])
})

it("a container that is killed or stopped is out at once, without waiting for a list", async () => {
  engine.containers = [one, two]
  const seen = follow()
  await clock.advance(0)
  engine.hold()
  engine.say("kill", one.id, { signal: 15 })
  await settle()
  expect(standings(seen.at(-1))).toContain("32768 draining")
  engine.say("kill", one.id, { signal: 9 })
  await settle()
  expect(standings(seen.at(-1))).toContain("32768 out")
  engine.say("die", two.id)
  await settle()
  expect(seen.at(-1)?.instances.map(({ standing, why }) => [standing, why])).toContainEqual(["out", "disabled by docker: it ended"])
})

it("a container that was started again is used again, though no list ever showed it stopped", async () => {
  engine.containers = [one]
  const seen = follow()
  await clock.advance(0)
  engine.say("kill", one.id, { signal: 15 })
  engine.say("die", one.id)
  engine.containers = [{ ...one, ports: [{ privatePort: 8000, publicPort: 40_000, ip: "0.0.0.0", type: "tcp" }] }]
  engine.say("start", one.id)
  await clock.advance(100)
  expect(standings(seen.at(-1))).toBe("40000 serving")
  expect(new Set(seen.flatMap(({ instances }) => instances.map(({ boot }) => boot))).size).toBe(2)
})

it("a container that outlives its signal comes back after a minute", async () => {
  engine.containers = [one]
  engine.details.set(one.id, { running: true, startedAt: 1, stopSignal: "SIGTERM", stopTimeoutSeconds: 10 })
  const seen = follow()
  await clock.advance(0)
  engine.say("kill", one.id, { signal: 15 })
  await clock.advance(55_000)
  expect(standings(seen.at(-1))).toBe("32768 draining")
  await clock.advance(40_000)
  expect(standings(seen.at(-1))).toBe("32768 serving")
  expect(log.at(-1)).toContain("container one still runs after signal 15 (survived-signal)")
})

it("a signal that merely informs changes nothing, unless it is the one that stops the image", async () => {
  engine.containers = [one, two]
  engine.details.set(one.id, { running: true, startedAt: 1, stopSignal: "SIGTERM", stopTimeoutSeconds: 10 })
  engine.details.set(two.id, { running: true, startedAt: 1, stopSignal: "SIGWINCH", stopTimeoutSeconds: 10 })
  const seen = follow()
  await clock.advance(0)
  for (const { id } of [one, two]) engine.say("kill", id, { signal: 28 })
  await clock.advance(100)
  expect(
    seen
      .at(-1)
      ?.instances.map((instance) => instance.standing)
      .toSorted(),
  ).toEqual(["draining", "serving"])
})

it("keeps the last known instances while Docker is away, says how old they are, and converges within 5 s of its return", async () => {
  engine.containers = [one]
  const seen = follow()
  await clock.advance(0)
  engine.down = true
  engine.cut()
  await clock.advance(3_600_000)
  expect(seen.map(({ stale = false }) => stale)).toEqual([false, true])
  expect(standings(seen.at(-1))).toBe("32768 serving")
  expect(source.status()).toMatchObject({ connected: false, ageMs: 3_600_000, problem: expect.stringContaining("nothing listens there") })
  expect(log.filter((line) => line.startsWith("warn"))).toEqual([expect.stringContaining("the last known instances stay in use")])
  engine.down = false
  engine.containers = [two]
  await clock.advance(3000)
  expect(seen.at(-1)?.stale).toBeUndefined()
  expect(standings(seen.at(-1))).toBe("2 serving")
  expect(source.status()).toMatchObject({ connected: true, containers: 1 })
  expect(source.status().problem).toBeUndefined()
})

it("the waiting time between tries grows to 3 s and is jittered, for ever", async () => {
  engine.down = true
  let tries = 0
  engine.events = async () => {
    tries++
    throw new Error("down")
  }
  follow()
  await clock.advance(10_000)
  const early = tries
  expect(early).toBeGreaterThanOrEqual(7)
  expect(early).toBeLessThanOrEqual(13)
  await clock.advance(24 * 3_600_000)
  const perHour = (tries - early) / 24
  expect(perHour).toBeGreaterThan(3600 / 3)
  expect(perHour).toBeLessThan(3600 / 1.5)
  expect(clock.pendingTimers).toBe(1)
})

it("a stream of events that is cut is opened again where it ended, and nobody is told", async () => {
  engine.containers = [one]
  const seen = follow()
  await clock.advance(0)
  engine.say("start", one.id)
  await clock.advance(20_000)
  engine.containers = [one, two]
  engine.cut()
  await clock.advance(100)
  expect([engine.connections, engine.sinces]).toEqual([2, [undefined, "1700000000.001000000"]])
  expect(seen.some(({ stale }) => stale)).toBe(false)
  expect(log.filter((line) => line.startsWith("warn"))).toEqual([])
})

it("one failed list is made good within a second", async () => {
  const seen = follow()
  await clock.advance(0)
  engine.containers = [one]
  engine.failLists = 1
  engine.say("start", one.id)
  await clock.advance(1000)
  expect(standings(seen.at(-1))).toBe("32768 serving")
})

it("a departure from before a break counts only if the container has not started since", async () => {
  engine.containers = [one, two]
  const seen = follow()
  await clock.advance(0)
  for (const { id } of [one, two]) engine.say("kill", id, { signal: 15 })
  await clock.advance(100)
  engine.details.set(one.id, { running: true, startedAt: 1_800_000_000_000, stopSignal: "SIGTERM", stopTimeoutSeconds: 10 })
  engine.details.set(two.id, { running: true, startedAt: 1, stopSignal: "SIGTERM", stopTimeoutSeconds: 10 })
  engine.cut()
  await clock.advance(1000)
  expect(standings(seen.at(-1))?.split(",").toSorted()).toEqual(["2 draining", "32768 serving"])
})

it("Docker absent at the start is said once, an empty answer comes at once, and what is remembered is suspect", async () => {
  engine.down = true
  const instance = { ...sampleInstance(), standing: "serving" as const }
  const seen = follow({ initial: [{ service: "payment", at: 1, instances: [instance] }] })
  const others = collected(source.watch("other", never))
  await clock.advance(60_000)
  expect(standings(seen.at(-1))).toBe("1 suspect")
  expect(others).toEqual([{ service: "other", instances: [], at: expect.any(Number), stale: true }])
  expect(log).toEqual([expect.stringMatching(/^warn .*nothing listens there; it is tried again for ever$/)])
  engine.down = false
  engine.containers = [one]
  await clock.advance(5000)
  expect(standings(seen.at(-1))).toBe("32768 serving")
})

it("yields names and routes, and an empty snapshot when the last container of a service is gone", async () => {
  const native = (name: string, created: number, service: string) =>
    sampleContainer({ name, created, labels: { "meshwork.service": service, "meshwork.path_prefix": "/api" } })
  engine.containers = [native("b", 2, "late"), native("a", 1, "early")]
  follow()
  const names = collected(source.services(never))
  const routes = collected<readonly DockerRoute[]>(source.routes(never))
  const late = collected(source.watch("late", never))
  await clock.advance(0)
  expect(names).toEqual([["early", "late", "payment"]])
  expect(routes).toEqual([[{ pathPrefix: "/api", service: "early" }]])
  expect(log.at(-2)).toContain("container b (622d2d2d2d2d) asks for the route /api to late, but an older container has it for early (route-taken)")
  engine.containers = []
  engine.say("die")
  await clock.advance(100)
  expect(names.at(-1)).toEqual(["payment"])
  expect(routes.at(-1)).toEqual([])
  expect(late.at(-1)?.instances).toEqual([])
})

it("without native labels containers name neither services nor routes, but their port and weight count", async () => {
  const labels = { "meshwork.service": "own", "meshwork.path_prefix": "/own", "meshwork.weight": "7" }
  engine.containers = [sampleContainer({ name: "other", labels }), { ...one, labels: { ...pay, ...labels } }]
  const seen = follow({ native: false })
  const routes = collected<readonly DockerRoute[]>(source.routes(never))
  await clock.advance(0)
  expect(seen.at(-1)?.instances).toEqual([expect.objectContaining({ weight: 7 })])
  expect(source.containers()).toHaveLength(1)
  expect([source.snapshots().map(({ service }) => service), routes]).toEqual([["payment"], [[]]])
})

it("a warning is said once for as long as the container is there", async () => {
  const odd = sampleContainer({ name: "odd", labels: { ...pay, "meshwork.weight": "heavy" }, ports: [] })
  engine.containers = [odd]
  follow()
  await clock.advance(120_000)
  expect(log.filter((line) => line.startsWith("warn"))).toEqual([
    expect.stringContaining('container odd (6f64642d2d2d) the label meshwork.weight is "heavy", which is not used'),
    expect.stringContaining("container odd (6f64642d2d2d) publishes no TCP port"),
  ])
  expect(source.containers()).toEqual([
    expect.objectContaining({ name: "odd", services: ["payment"], reason: expect.stringContaining("no TCP port") }),
  ])
})

it("close ends every iteration and leaves no timer", async () => {
  const seen: string[] = []
  follow()
  await clock.advance(0)
  const ended = (async () => {
    for await (const _ of source.watch("payment", never)) seen.push("one")
    seen.push("end")
  })()
  await settle()
  await source.close()
  await source.close()
  await ended
  expect(seen).toEqual(["one", "end"])
  expect(clock.pendingTimers).toBe(0)
})

function sampleInstance(): ServiceSnapshot["instances"][number] {
  const health = { status: "unknown" as const, since: 1, reason: "", by: "docker" }
  return {
    service: "payment",
    id: "x",
    host: "127.0.0.1",
    port: 1,
    scheme: "http",
    priority: "med",
    tags: {},
    ttlSeconds: 0,
    origin: "docker",
    registeredAt: 1,
    health,
    state: "up",
    standing: "serving",
    why: "",
  }
}

it("a port published for IPv6 alone is called at ::1, or at 127.0.0.1 where nothing answers there, and tried once", async () => {
  const six = (name: string, publicPort: number) =>
    sampleContainer({ name, labels: pay, ports: [{ privatePort: 8000, publicPort, ip: "::", type: "tcp" }] })
  engine.containers = [six("one", 7001), six("two", 7002), one]
  const tried: string[] = []
  const reaches = async (host: string, port: number): Promise<boolean> => {
    tried.push(`${host} ${port}`)
    return port === 7001
  }
  const seen = follow({ reaches })
  await clock.advance(0)
  await settle()
  const places = () =>
    seen
      .at(-1)
      ?.instances.map(({ host, port }) => `${host} ${port}`)
      .toSorted()
  expect(places()).toEqual(["127.0.0.1 32768", "127.0.0.1 7002", "::1 7001"])
  await clock.advance(60_000)
  expect(tried).toEqual(["::1 7001", "::1 7002"])
  engine.containers = [one]
  engine.say("die", "x")
  await clock.advance(1000)
  engine.containers = [six("three", 7002)]
  engine.say("start", "x")
  await clock.advance(1000)
  expect(tried).toHaveLength(3)
})

it("while Docker is away, who answers at the address in a network of this machine is called there, and at the published port again afterwards", async () => {
  const bridge = (address: string, gateway: string) => [{ id: "net", name: "bridge", address, gateway }]
  engine.containers = [
    sampleContainer({ name: "near", labels: pay, networks: bridge("172.17.0.5", "172.17.0.1") }),
    sampleContainer({ name: "dead", labels: pay, ports: two.ports, networks: bridge("172.17.0.6", "172.17.0.1") }),
    sampleContainer({
      name: "far",
      labels: pay,
      ports: [{ privatePort: 8000, publicPort: 3, ip: "0.0.0.0", type: "tcp" }],
      networks: bridge("172.30.0.7", "172.30.0.1"),
    }),
  ]
  const tried: string[] = []
  const reaches = async (host: string, port: number): Promise<boolean> => {
    tried.push(`${host} ${port}`)
    return host !== "172.17.0.6"
  }
  const seen = follow({ reaches, locals: () => new Set(["127.0.0.1", "172.17.0.1"]) })
  await clock.advance(0)
  const places = () =>
    seen
      .at(-1)
      ?.instances.map(({ host, port }) => `${host} ${port}`)
      .toSorted()
  const published = ["127.0.0.1 2", "127.0.0.1 3", "127.0.0.1 32768"]
  expect(places()).toEqual(published)
  engine.cut()
  await clock.advance(500)
  expect([places(), tried]).toEqual([published, []])
  engine.down = true
  engine.cut()
  await clock.advance(5000)
  expect(places()).toEqual(["127.0.0.1 2", "127.0.0.1 3", "172.17.0.5 8000"])
  expect(tried.toSorted()).toEqual(["172.17.0.5 8000", "172.17.0.6 8000"])
  expect(seen.at(-1)?.stale).toBe(true)
  engine.down = false
  await clock.advance(5000)
  expect(places()).toEqual(published)
})
