import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Instance } from "@meshwork/contract"
import { sampleSummary, ScriptedDocker } from "@meshwork/source-docker/testing"
import { pino } from "pino"
import { afterEach, beforeEach, expect, it } from "vitest"
import { type DiscoverySettings, runDiscovery } from "./index.ts"

let folder: string
let docker: ScriptedDocker
let socket: string
const closers: (() => Promise<unknown> | void)[] = []
const labels = { "meshwork.service": "payment" }

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-discovery-"))
  socket = join(folder, "docker.sock")
  docker = new ScriptedDocker()
  await docker.listen(socket)
  closers.push(() => docker.close())
})
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
  rmSync(folder, { recursive: true })
})

async function running(more: DiscoverySettings = {}): Promise<{ url: string; close: () => Promise<void>; list: () => Promise<Instance[]> }> {
  const storage = `sqlite:${join(folder, "registry.sqlite")}`
  const settings = { port: 0, storage, docker: {}, env: { DOCKER_HOST: `unix://${socket}` }, log: pino({ level: "silent" }), ...more }
  const started = await runDiscovery(settings)
  closers.push(() => started.close())
  const list = async () => ((await (await fetch(`${started.url}/v1/services/payment/instances`)).json()) as { instances: Instance[] }).instances
  return { url: started.url, close: () => started.close(), list }
}

const brief = (instances: Instance[]) => instances.map(({ host, port, standing }) => `${host}:${port} ${standing}`)

it("containers appear in the registry with what their labels say, and go with the container", async () => {
  docker.summaries = [sampleSummary("one", 7001, { ...labels, "meshwork.weight": "9", "meshwork.priority": "high" })]
  const { list, url } = await running()
  await expect.poll(async () => brief(await list())).toEqual(["127.0.0.1:7001 serving"])
  const [one] = await list()
  expect(one).toMatchObject({
    origin: "docker",
    id: "6f6e652d2d2d",
    weight: 9,
    priority: "high",
    ttlSeconds: 0,
    tags: { "docker.container": "one", "docker.engine": "A" },
  })
  docker.summaries.push(sampleSummary("two", 7002, labels))
  docker.say("start", "two")
  await expect.poll(async () => brief(await list())).toEqual(["127.0.0.1:7001 serving", "127.0.0.1:7002 serving"])
  docker.summaries.shift()
  docker.say("die", "one")
  await expect.poll(async () => brief(await list())).toEqual(["127.0.0.1:7002 serving"])
  const { entries } = (await (await fetch(`${url}/v1/journal?service=payment`)).json()) as { entries: { by: string; why: string }[] }
  expect(entries[0]).toMatchObject({ by: "docker", why: "its container is gone" })
})

it("stopping, pausing and HEALTHCHECK become state and health, and are taken back", async () => {
  const summary = (more: object) => [sampleSummary("one", 7001, labels, more)]
  docker.summaries = summary({})
  const { list } = await running()
  const becomes = (standing: string) => expect.poll(async () => (await list()).map((each) => each.standing)).toEqual([standing])
  await becomes("serving")
  docker.say("kill", sampleSummary("one", 7001, labels).Id, { signal: "15" })
  await becomes("draining")
  docker.say("start", sampleSummary("one", 7001, labels).Id)
  await becomes("serving")
  for (const [more, standing, why] of [
    [{ State: "paused" }, "out", "disabled"],
    [{}, "serving", ""],
    [{ Status: "Up (health: starting)" }, "out", "failing: its HEALTHCHECK has not passed yet"],
    [{ Status: "Up (healthy)" }, "serving", "passing: its HEALTHCHECK passes"],
    [{ Status: "Up (unhealthy)" }, "out", "failing: its HEALTHCHECK fails"],
    [{}, "serving", ""],
  ] as const) {
    docker.summaries = summary(more)
    docker.say("update", "one")
    await becomes(standing)
    expect((await list())[0]?.why).toContain(why)
  }
})

it("a container with meshwork.check_path is probed by the server; one whose HEALTHCHECK fails is out whatever that says", async () => {
  let status = 500
  const server = createServer((_, response) => void response.writeHead(status).end())
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  closers.push(() => void server.close())
  const { port } = server.address() as AddressInfo
  const checked = { ...labels, "meshwork.check_path": "/health" }
  docker.summaries = [sampleSummary("one", port, checked)]
  const { list } = await running()
  await expect.poll(async () => (await list())[0]?.why).toMatch(/^failing: GET http.*\/health answered 500/)
  status = 200
  await expect.poll(async () => (await list())[0]?.standing).toBe("serving")
  docker.summaries = [sampleSummary("one", port, checked, { Status: "Up (unhealthy)" })]
  docker.say("update", "one")
  await expect.poll(async () => (await list())[0]?.why).toBe("failing: its HEALTHCHECK fails")
  docker.summaries = [sampleSummary("one", port, checked, { Status: "Up (healthy)" })]
  docker.say("update", "one")
  await expect.poll(async () => (await list())[0]?.standing).toBe("serving")
})

it("an operator's wish stays, and what registered itself is left alone", async () => {
  docker.summaries = [sampleSummary("one", 7001, labels)]
  const { list, url } = await running()
  await expect.poll(async () => brief(await list())).toEqual(["127.0.0.1:7001 serving"])
  await fetch(`${url}/v1/services/payment/instances/6f6e652d2d2d`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ state: "draining", weight: 3 }),
  })
  await fetch(`${url}/v1/services/payment/instances/own`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ host: "127.0.0.1", port: 7009 }),
  })
  docker.summaries = [sampleSummary("one", 7005, labels)]
  docker.say("update", "one")
  await expect.poll(async () => brief(await list())).toEqual(["127.0.0.1:7005 draining", "127.0.0.1:7009 serving"])
  expect((await list())[0]?.weight).toBe(3)
  docker.summaries = []
  docker.say("die", "one")
  await expect.poll(async () => brief(await list())).toEqual(["127.0.0.1:7009 serving"])
})

it("containers that went while the server was down go at its start, not before Docker answers, and all of them without --docker", async () => {
  docker.summaries = [sampleSummary("one", 7001, labels), sampleSummary("two", 7002, labels)]
  const first = await running()
  await expect.poll(async () => (await first.list()).length).toBe(2)
  await first.close()
  await docker.close()
  const second = await running()
  expect(brief(await second.list())).toEqual(["127.0.0.1:7001 serving", "127.0.0.1:7002 serving"])
  docker = new ScriptedDocker()
  docker.summaries = [sampleSummary("two", 7002, labels)]
  await docker.listen(socket)
  await expect.poll(async () => brief(await second.list())).toEqual(["127.0.0.1:7002 serving"])
  await second.close()
  const third = await running({ docker: false })
  expect(await third.list()).toEqual([])
})

it("containers of another engine, which another server keeps, are left alone", async () => {
  docker.answers["/info"] = (_, response) => void response.end('{"ID":"OTHER"}')
  docker.summaries = [sampleSummary("theirs", 7003, labels)]
  const first = await running()
  await expect.poll(async () => (await first.list()).length).toBe(1)
  await first.close()
  const path = join(folder, "second.sock")
  const own = new ScriptedDocker()
  own.summaries = [sampleSummary("ours", 7004, labels)]
  await own.listen(path)
  closers.push(() => own.close())
  const second = await running({ env: { DOCKER_HOST: `unix://${path}` } })
  await expect.poll(async () => brief(await second.list())).toEqual(["127.0.0.1:7004 serving", "127.0.0.1:7003 serving"])
})

it.each<[string, DiscoverySettings, string[]]>([
  ["bound to loopback", {}, ["127.0.0.1"]],
  ["that is told its name", { host: "0.0.0.0", insecure: true, advertiseHost: "Mesh.Test" }, ["mesh.test"]],
  ["bound to everything, without a name", { host: "0.0.0.0", insecure: true }, []],
])("a server %s registers published ports as %s", async (_, settings, hosts) => {
  docker.summaries = [sampleSummary("one", 7001, labels)]
  const { list } = await running(settings)
  await expect.poll(() => docker.asked.includes("/containers/json")).toBe(true)
  await expect.poll(async () => (await list()).map(({ host }) => host)).toEqual(hosts)
})

it("a name that is none is refused, and metrics tell of Docker", async () => {
  await expect(running({ advertiseHost: "a b" })).rejects.toMatchObject({
    code: "invalid_config",
    message: expect.stringContaining("--advertise-host"),
  })
  docker.summaries = [sampleSummary("one", 7001, labels)]
  const { url, list } = await running()
  await expect.poll(async () => (await list()).length).toBe(1)
  expect(await (await fetch(`${url}/metrics`)).text()).toContain("meshwork_discovery_docker_connected 1\n")
})
