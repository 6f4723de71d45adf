import { writeFileSync } from "node:fs"
import { Agent, createServer, request, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { eventually } from "./support/eventually.ts"
import { createMesh, getOk } from "./support/mesh.ts"
import { freePorts, launch, meshwork, type Program, scratchFolder } from "./support/programs.ts"

const serving = `require("node:http").createServer((q, r) => { q.resume(); setTimeout(() => r.end(process.env.PORT), 8) }).listen(process.env.PORT, "127.0.0.1")`

const startBackend = (port: number): Program => launch(`backend ${port}`, process.execPath, ["-e", serving], { env: { PORT: String(port) } })

async function startGateway(backends: readonly number[]): Promise<{ url: string; program: Program }> {
  const folder = scratchFolder()
  const [port, adminPort] = await freePorts(2)
  const file = join(folder, "meshwork.yaml")
  writeFileSync(
    file,
    `gateway: { port: ${port}, adminPort: ${adminPort}, discovery: [] }
services: { a: { instances: [${backends.map((backend) => `"127.0.0.1:${backend}"`).join(", ")}] } }
routes: [{ pathPrefix: /, service: a }]`,
  )
  const program = meshwork("gateway", ["gateway", "-c", file], { cwd: folder })
  const url = `http://127.0.0.1:${port}`
  await eventually("every backend answers", 60_000, async () => {
    const answers = await Promise.all(Array.from({ length: 32 }, () => ask(url)))
    expect(new Set(answers.map(({ status, body }) => `${status} ${body}`)).size).toBe(backends.length)
  })
  return { url, program }
}

interface Answer {
  method: string
  status: number
  body: string
  ms: number
  /** Whether it went out on a connection that was open before. */
  reused: boolean
}

const agent = new Agent({ keepAlive: true, maxSockets: 256 })

function ask(url: string, method = "GET"): Promise<Answer> {
  const begin = performance.now()
  return new Promise((resolve) => {
    const ended = (status: number, body: string): void => resolve({ method, status, body, ms: performance.now() - begin, reused: sent.reusedSocket })
    const sent = request(url, { method, agent }, (response) => {
      let body = ""
      response.on("data", (chunk) => (body += String(chunk)))
      response.on("end", () => ended(response.statusCode ?? 0, body))
      response.on("error", () => ended(0, "cut"))
    })
    sent.on("error", (error) => ended(0, String(error)))
    sent.end(method === "POST" ? "some body" : undefined)
  })
}

/** Sends at a steady rate whatever comes back, every fourth one a POST, until stopped. */
function steadily(
  url: string,
  perSecond: number,
): { sent: () => number; underWay: () => number; reused: () => number; stop: () => Promise<Answer[]> } {
  const answers: Promise<Answer>[] = []
  let answered = 0
  let reused = 0
  const send = async (method: string): Promise<Answer> => {
    const answer = await ask(url, method)
    answered++
    if (answer.reused && answer.status === 200) reused++
    return answer
  }
  const begin = performance.now()
  const timer = setInterval(() => {
    const due = ((performance.now() - begin) / 1000) * perSecond
    while (answers.length < due) answers.push(send(answers.length % 4 === 3 ? "POST" : "GET"))
  }, 5)
  onTestFinished(() => clearInterval(timer))
  return {
    sent: () => answers.length,
    underWay: () => answers.length - answered,
    reused: () => reused,
    stop() {
      clearInterval(timer)
      return Promise.all(answers)
    },
  }
}

it("one of four killed at 2,000 requests per second: no GET fails, and no more POSTs than were under way there", async () => {
  const ports = await freePorts(4)
  const [killed] = ports.map(startBackend)
  const { url } = await startGateway(ports)
  const load = steadily(url, 2000)
  await eventually("load", 20_000, () => expect(load.sent()).toBeGreaterThan(2000))
  const underWay = load.underWay()
  killed?.kill("SIGKILL")
  await killed?.ended
  const atKill = load.sent()
  await eventually("more load", 20_000, () => expect(load.sent()).toBeGreaterThan(atKill + 3000))
  const answers = await load.stop()
  const failed = answers.filter(({ status }) => status !== 200)
  expect(failed.filter(({ method }) => method === "GET")).toEqual([])
  // A quarter of the 2,000 goes there and each takes some 10 ms: 5 at once, and more where this machine is busy.
  expect(failed.length).toBeLessThan(60 + underWay)
  expect(new Set(answers.slice(-500).map(({ body }) => body)).size).toBe(3)
})

it("all of them down: answers come at once, and all is well within two seconds of their return", async () => {
  const ports = await freePorts(4)
  const backends = ports.map(startBackend)
  const { url } = await startGateway(ports)
  for (const backend of backends) backend.kill("SIGKILL")
  await Promise.all(backends.map(({ ended }) => ended))
  const load = steadily(url, 200)
  await eventually("load without anybody there", 20_000, () => expect(load.sent()).toBeGreaterThan(400))
  const answers = await load.stop()
  expect(new Set(answers.slice(50).map(({ status }) => status))).toEqual(new Set([502]))
  expect(answers.map(({ ms }) => ms).toSorted((a, b) => a - b)[Math.floor(answers.length / 2)]).toBeLessThan(250)

  for (const port of ports) startBackend(port)
  await eventually("the first answer", 15_000, async () => expect((await ask(url)).status).toBe(200))
  const returned = performance.now()
  await eventually("all of them are used", 2000, async () => {
    const again = await Promise.all(Array.from({ length: 60 }, () => ask(url)))
    expect(again.filter(({ status }) => status !== 200)).toEqual([])
    expect(new Set(again.map(({ body }) => body)).size).toBe(4)
  })
  expect(performance.now() - returned).toBeLessThan(3000)
})

it("an instance that drains gets nothing new a moment later, and what it has under way finishes", async () => {
  const mesh = await createMesh({ routes: "  - { pathPrefix: /, service: a }\n" })
  await mesh.startDiscovery()
  const held: ServerResponse[] = []
  const counts = new Map<string, number>()
  const instances = await Promise.all(
    ["one", "two"].map(async (name) => {
      const server = createServer((incoming, response) => {
        counts.set(name, (counts.get(name) ?? 0) + 1)
        if (incoming.url === "/held" && name === "one") held.push(response)
        else response.end(name)
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      onTestFinished(() => {
        server.closeAllConnections()
        server.close()
      })
      const at = `${mesh.discoveryUrl}/v1/services/a/instances/${name}`
      const send = (method: string, body: object) =>
        fetch(at, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) }).then(({ ok }) => ok)
      expect(await send("PUT", { host: "127.0.0.1", port: (server.address() as AddressInfo).port, ttlSeconds: 300 })).toBe(true)
      return { send }
    }),
  )
  await mesh.startGateway()
  await eventually("both are used", 10_000, async () => {
    await getOk(`${mesh.adminUrl}/ready`)
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(mesh.gatewayUrl)))
    expect(new Set(answers.map(({ body }) => body))).toEqual(new Set(["one", "two"]))
  })
  const underWay: Promise<Answer>[] = []
  while (held.length === 0) {
    underWay.push(ask(`${mesh.gatewayUrl}/held`))
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const load = steadily(mesh.gatewayUrl, 200)
  await eventually("load", 10_000, () => expect(load.sent()).toBeGreaterThan(100))
  expect(await instances[0]?.send("PATCH", { state: "draining" })).toBe(true)
  await new Promise((resolve) => setTimeout(resolve, 250))
  const then = counts.get("one")
  const sent = load.sent()
  await eventually("more load", 10_000, () => expect(load.sent()).toBeGreaterThan(sent + 200))
  const answers = await load.stop()
  expect(counts.get("one")).toBe(then)
  expect(answers.filter(({ status }) => status !== 200)).toEqual([])
  for (const response of held) response.end("finished")
  expect((await Promise.all(underWay)).map(({ status }) => status)).toEqual(underWay.map(() => 200))
})

it("a gateway that is stopped under load answers everything that comes on open connections", async () => {
  const ports = await freePorts(2)
  for (const port of ports) startBackend(port)
  const { url, program } = await startGateway(ports)
  const load = steadily(url, 500)
  await eventually("load", 60_000, () => expect(Math.min(load.sent() - 300, load.reused())).toBeGreaterThan(200))
  program.kill("SIGTERM")
  expect(await program.ended).toBe(0)
  const answers = await load.stop()
  const failed = answers.filter(({ status }) => status !== 200)
  // Who is about to connect in that moment finds nobody, or is reset by the kernel before anybody has seen it.
  expect(failed.filter(({ reused }) => reused)).toEqual([])
  expect(answers.filter(({ status, reused }) => status === 200 && reused).length).toBeGreaterThan(200)
  expect(answers.length - failed.length).toBeGreaterThan(400)
})
