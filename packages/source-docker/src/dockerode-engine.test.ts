import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { systemClock } from "@meshwork/contract"
import { afterEach, beforeEach, expect, it } from "vitest"
import { createDockerodeEngine } from "./dockerode-engine.ts"
import type { DockerEngine, EngineEvent } from "./engine.ts"
import { ScriptedDocker } from "./testing/scripted-docker.ts"

let folder: string
let docker: ScriptedDocker
let engine: DockerEngine
const never = new AbortController().signal
const timeoutMs = 400

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-docker-"))
  const path = join(folder, "docker.sock")
  docker = new ScriptedDocker()
  await docker.listen(path)
  engine = createDockerodeEngine({ address: { kind: "unix", path }, clock: systemClock, timeoutMs })
})
afterEach(async () => {
  await docker.close()
  rmSync(folder, { recursive: true })
})

const json = (value: unknown) => (_: unknown, response: { end(text: string): unknown }) => void response.end(JSON.stringify(value))

it("reads a list as an engine writes it, and skips what is no container", async () => {
  docker.answers["/containers/json"] = json([
    {
      Id: "a".repeat(64),
      Names: ["/web/linked", "/db"],
      Image: "image:1",
      Created: 7,
      State: "Running",
      Status: "Up 3 seconds (health: starting)",
      Labels: { a: "b", n: 1 },
      Ports: [{ PrivatePort: 80, PublicPort: 8080, IP: "::", Type: "tcp" }, { PrivatePort: 90, Type: "tcp" }, {}, null],
      HostConfig: { NetworkMode: "default" },
      NetworkSettings: {
        Networks: { bridge: { NetworkID: "n", IPAddress: "172.17.0.2", Gateway: "172.17.0.1" }, six: { GlobalIPv6Address: "fd00::2" } },
      },
    },
    {
      Id: "b".repeat(64),
      Labels: null,
      Ports: null,
      Names: null,
      NetworkSettings: null,
      Status: "Up 1 hour (unhealthy)",
      HostConfig: { NetworkMode: "host" },
    },
    { Id: "c".repeat(64), State: "running", Status: "Up", Health: { Status: "healthy" } },
    {},
    null,
    7,
  ])
  const [first, second, third, ...rest] = await engine.list(never)
  expect(rest).toEqual([])
  expect(first).toEqual({
    id: "a".repeat(64),
    name: "db",
    image: "image:1",
    created: 7,
    state: "running",
    health: "starting",
    labels: { a: "b", n: "1" },
    ports: [
      { privatePort: 80, publicPort: 8080, ip: "::", type: "tcp" },
      { privatePort: 90, type: "tcp" },
    ],
    networks: [
      { id: "n", name: "bridge", address: "172.17.0.2", gateway: "172.17.0.1" },
      { id: "", name: "six", address: "fd00::2" },
    ],
    hostNetwork: false,
  })
  expect(second).toMatchObject({ name: "bbbbbbbbbbbb", labels: {}, ports: [], health: "unhealthy", hostNetwork: true })
  expect(third).toMatchObject({ health: "healthy" })
})

it.each<[string, string, ScriptedDocker["answers"][string]]>([
  ["an error status", "server error", (_, response) => response.writeHead(500).end('{"message":"broken"}')],
  ["no JSON", "no JSON", (_, response) => response.end("<html>")],
  ["no list", "no list of containers", (_, response) => response.end("{}")],
  ["a closed connection", "closed the connection", (request) => request.socket.destroy()],
  [
    "half an answer",
    "closed the connection",
    (_, response) => response.writeHead(200, { "content-length": "100" }).write("[", () => response.destroy()),
  ],
  ["silence", "no answer within 0.4 s", () => {}],
  ["silence after the head", "no answer within 0.4 s", (_, response) => response.writeHead(200, { "content-length": "100" }).write("[")],
])("a list that is %s is an error that names the engine: %s", async (_, why, answer) => {
  docker.answers["/containers/json"] = answer
  await expect(engine.list(never)).rejects.toMatchObject({
    code: "connection_failed",
    message: expect.stringMatching(new RegExp(`^Docker at unix://${folder}/docker.sock failed at listing containers: .*${why}`)),
  })
})

it("names a socket that is not there", async () => {
  const none = createDockerodeEngine({ address: { kind: "unix", path: join(folder, "none.sock") }, clock: systemClock })
  await expect(none.list(never)).rejects.toThrow("there is no such socket")
  await expect(none.events({}, never)).rejects.toThrow("there is no such socket")
})

it("a call ends when it is given up", async () => {
  docker.answers["/containers/json"] = () => {}
  const stop = new AbortController()
  const listing = engine.list(stop.signal)
  stop.abort()
  await expect(listing).rejects.toThrow("given up")
  await expect(engine.list(stop.signal)).rejects.toThrow("given up")
})

it("inspects a container, and knows one that is gone", async () => {
  docker.answers["/containers/x/json"] = json({
    State: { Running: true, StartedAt: "2024-01-02T03:04:05.678901234Z" },
    Config: { StopSignal: "SIGQUIT", StopTimeout: 30 },
  })
  expect(await engine.inspect("x", never)).toEqual({
    running: true,
    startedAt: Date.parse("2024-01-02T03:04:05.678Z"),
    stopSignal: "SIGQUIT",
    stopTimeoutSeconds: 30,
  })
  expect(await engine.inspect("gone", never)).toBeUndefined()
})

it("reads events as they come, however they are cut, asks for what it missed, and outlives the time limit of calls", async () => {
  const events: EngineEvent[] = []
  const stream = await engine.events({ since: "1.000000002" }, never)
  const reading = (async () => {
    for await (const event of stream) events.push(event)
  })()
  const [response] = docker.streams
  const text = `${JSON.stringify({ Type: "container", Action: "kill", Actor: { ID: "a", Attributes: { signal: "15" } }, timeNano: 0 }).replace('"timeNano":0', '"timeNano":1700000000123456789')}\n`
  response?.write(text.slice(0, 20))
  await new Promise((resolve) => setTimeout(resolve, timeoutMs * 1.5))
  response?.write(
    `${text.slice(20)}\n{"broken\n${JSON.stringify({ Type: "network", Action: "connect", Actor: { ID: "n", Attributes: { container: "b" } } })}\n`,
  )
  response?.write(
    `${JSON.stringify({ status: "die", id: "old" })}\n${"x".repeat(2 * 1024 * 1024)}\n${JSON.stringify({ Action: "start", id: "c" })}\n`,
  )
  response?.end()
  await reading
  expect(events).toEqual([
    { type: "container", action: "kill", container: "a", signal: 15, timeNano: "1700000000123456789" },
    { type: "network", action: "connect", container: "b", timeNano: "" },
    { type: "container", action: "die", container: "old", timeNano: "" },
    { type: "container", action: "start", container: "c", timeNano: "" },
  ])
  const query = new URL(`http://x${docker.asked.at(-1)}`).searchParams
  expect(Object.fromEntries(query)).toEqual({ filters: '{"type":["container","network"]}', since: "1.000000002" })
})

it("a stream of events ends when it is told to, or is cut, and never throws", async () => {
  for (const how of ["abort", "cut"]) {
    const stop = new AbortController()
    const stream = await engine.events({}, stop.signal)
    const reading = (async () => {
      for await (const event of stream) expect(event).toBeUndefined()
    })()
    if (how === "abort") stop.abort()
    else for (const response of docker.streams) response.socket?.destroy()
    await reading
  }
})

it("what DOCKER_HOST says does not matter to an engine whose address is given", async () => {
  const before = { ...process.env }
  Object.assign(process.env, { DOCKER_HOST: "tcp://127.0.0.1:1", DOCKER_TLS_VERIFY: "1" })
  try {
    const own = createDockerodeEngine({ address: { kind: "unix", path: join(folder, "docker.sock") }, clock: systemClock })
    expect(await own.info(never)).toEqual({ id: "A", name: "b" })
    process.env["DOCKER_CERT_PATH"] = "/nowhere"
    expect(() => createDockerodeEngine({ address: { kind: "unix", path: "/x" }, clock: systemClock })).toThrow(
      /^Docker at unix:\/\/\/x cannot be used: .*ca.pem/,
    )
  } finally {
    process.env = before
  }
})
