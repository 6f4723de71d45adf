import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Instance, systemClock } from "@meshwork/contract"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { baseImage, type Dockerd, dockerMissing, startDockerd } from "../../../scripts/dockerd.mjs"
import { createDockerSource } from "./create-docker-source.ts"
import type { DockerSource } from "./docker-source.ts"
import { createDockerodeEngine } from "./dockerode-engine.ts"
import { engineAddress } from "./engine-address.ts"

const required = process.env["MESHWORK_REQUIRE"]?.split(",").includes("docker") === true
// An engine of its own changes the machine (networks, mounts), so it is started only where that is asked for.
const missing = required ? dockerMissing() : "set MESHWORK_REQUIRE=docker to start an engine for it"
if (required && missing !== undefined) throw new Error(missing)
/** Answers with its host name; stops at SIGTERM. */
const serve = `require("http").createServer((q, s) => s.end(require("os").hostname())).listen(8000); process.on("SIGTERM", () => process.exit())`
/** What "within a second" is held to, while everything shares two cores. */
const noticedMs = 1500

describe.skipIf(missing !== undefined)(`a real Docker engine${missing === undefined ? "" : ` (skipped: ${missing})`}`, () => {
  let dockerd: Dockerd
  let source: DockerSource
  let log: string[]
  let latest: readonly Instance[]

  beforeAll(async () => {
    dockerd = await startDockerd()
  })
  afterAll(() => dockerd?.stop(), 60_000)

  beforeEach(() => {
    log = []
    latest = []
    source = follow()
    void (async () => {
      for await (const snapshot of source.watch("payment", new AbortController().signal)) latest = snapshot.instances
    })()
  })
  afterEach(async () => {
    await source.close()
    const ids = dockerd.cli("ps", "-aq").split("\n").filter(Boolean)
    if (ids.length > 0) dockerd.cli("rm", "-f", ...ids)
  })

  function follow(own: string[] = []): DockerSource {
    return createDockerSource({
      engine: createDockerodeEngine({ address: engineAddress({ host: dockerd.host, env: {} }), clock: systemClock }),
      backends: { payment: { matchLabels: { app_name: "payment", env: "production" } } },
      vantage: { publicHost: "127.0.0.1", loopback: true },
      ownTraces: own,
      log: (level, message) => log.push(`${level} ${message}`),
    })
  }

  const labels = ["--label", "app_name=payment", "--label", "env=production"]
  const run = (...args: string[]) => dockerd.cli("run", "-d", ...labels, ...args, baseImage, "-e", serve).slice(0, 12)
  const view = () => latest.map(({ id, standing }) => `${id} ${standing}`).toSorted()
  const until = (what: string, check: () => void, ms = noticedMs) => eventually(what, ms, check)

  it("a container with all the labels is an instance, whether labels are shared or not, and answers at the address found", async () => {
    const id = run("-p", "8000")
    dockerd.cli("run", "-d", "--label", "app_name=payment", "-p", "8000", baseImage, "-e", serve)
    await until("the container is found", () => expect(view()).toEqual([`${id} serving`]))
    const [{ host, port } = { host: "", port: 0 }] = latest
    expect(await eventually("it answers", 5000, async () => (await fetch(`http://${host}:${port}`)).text())).toBe(id)
  })

  it.each<[string, string[], string]>([
    ["stop", ["stop", "-t", "1"], ""],
    ["kill", ["kill"], ""],
    ["kill with a signal it ignores", ["kill", "-s", "USR2"], "serving"],
    ["rm -f", ["rm", "-f"], ""],
    ["pause", ["pause"], "out"],
    ["rename", ["rename"], "serving"],
  ])("docker %s is noticed within a second", async (_, [action = "", ...args], standing) => {
    const kept = run("--name", "kept", "-p", "8000")
    const id = run("-p", "8000")
    await until("both serve", () => expect(view()).toHaveLength(2), 3000)
    dockerd.cli(action, ...args, id, ...(action === "rename" ? ["renamed"] : []))
    const expected = [`${kept} serving`, ...(standing === "" ? [] : [`${id} ${standing}`])].toSorted()
    await until(`${action} is noticed`, () => expect(view()).toEqual(expected))
    if (action === "rename")
      await until("the new name", () => expect(latest.map(({ tags }) => tags["docker.container"]).toSorted()).toEqual(["kept", "renamed"]))
    if (action !== "pause") return
    dockerd.cli("unpause", id)
    await until("it is back", () => expect(view()).toEqual([`${kept} serving`, `${id} serving`].toSorted()))
  })

  it("a restarted container comes back with its new port, also while others come and go", async () => {
    const id = run("-p", "8000")
    await until("it serves", () => expect(view()).toEqual([`${id} serving`]))
    const before = latest[0]?.port
    dockerd.cli("restart", "-t", "1", id)
    await until("it is back", () => {
      expect(view()).toEqual([`${id} serving`])
      expect(latest[0]?.port).not.toBe(before)
    })
    expect(dockerd.cli("port", id, "8000").split("\n")[0]).toBe(`0.0.0.0:${latest[0]?.port}`)
  })

  it("HEALTHCHECK decides: last choice while it starts, in when healthy, out when unhealthy, in again", async () => {
    const checked = `require("fs").writeFileSync("/tmp/well", ""); process.on("SIGUSR2", () => require("fs").rmSync("/tmp/well")); process.on("SIGHUP", () => require("fs").writeFileSync("/tmp/well", "")); ${serve}`
    const made = await createChecked(dockerd, checked)
    await until("it is a last choice", () => expect(view()).toEqual([`${made} suspect`]))
    await until("it serves", () => expect(view()).toEqual([`${made} serving`]), 8000)
    dockerd.cli("kill", "-s", "USR2", made)
    await until("it is out", () => expect(view()).toEqual([`${made} out`]), 8000)
    expect(latest[0]?.why).toContain("HEALTHCHECK fails")
    dockerd.cli("kill", "-s", "HUP", made)
    await until("it serves again", () => expect(view()).toEqual([`${made} serving`]), 8000)
  })

  it("native labels make a service and a route; what is malformed is a named warning", async () => {
    const native = ["--label", "meshwork.service=orders", "--label", "meshwork.path_prefix=/api/orders", "--label", "meshwork.weight=heavy"]
    const id = dockerd.cli("run", "-d", ...native, "-p", "8000", "-p", "9000", baseImage, "-e", serve).slice(0, 12)
    const routes = source.routes(new AbortController().signal)
    await until("the route", async () => {
      for await (const found of routes) if (found.length > 0) return expect(found).toEqual([{ pathPrefix: "/api/orders", service: "orders" }])
    })
    await until("the warnings", () => expect(log.filter((line) => line.includes(id)).join()).toMatch(/malformed-label.*several-ports/))
    dockerd.cli("rm", "-f", id)
    await until("nothing is left", () => expect(source.containers()).toEqual([]))
  })

  it("no published port is a reason, not a crash", async () => {
    const id = run("--name", "hidden")
    await until("it is listed", () =>
      expect(source.containers()).toEqual([expect.objectContaining({ id, reason: expect.stringContaining("publishes no TCP port") })]),
    )
    expect(latest).toEqual([])
  })

  it("the machine's network takes the label, and IPv6 or one address is called as published", async () => {
    const onHost = run("--network", "host", "--label", "meshwork.port=8123")
    const local = run("-p", "127.0.0.1::8000")
    const six = run("-p", "[::1]::8000")
    const wide = run("-p", "[::]::8000")
    await until("all are found", () =>
      expect(Object.fromEntries(latest.map(({ id, host, port }) => [id, host === "127.0.0.1" && id === onHost ? port : host]))).toEqual({
        [onHost]: 8123,
        [local]: "127.0.0.1",
        [six]: "::1",
        [wide]: "::1",
      }),
    )
    const port = latest.find(({ id }) => id === six)?.port
    expect(await eventually("IPv6 answers", 5000, async () => (await fetch(`http://[::1]:${port}`)).text())).toBe(six)
  })

  it("each container is called at its own port, however engine and family number them", async () => {
    const ids = await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        dockerd.run("run", "-d", ...labels, ...(n === 0 ? ["-p", "[::]::8000"] : ["-p", "8000"]), baseImage, "-e", serve),
      ),
    )
    await until("all serve", () => expect(view()).toEqual(ids.map((id) => `${id.slice(0, 12)} serving`).toSorted()))
    for (const { id, host, port } of latest) {
      const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}`
      expect(await eventually("it answers", 5000, async () => (await fetch(url)).text())).toBe(id)
    }
  })

  it("from within a container of the same network, its own address counts; networks can be joined later", async () => {
    dockerd.cli("network", "create", "shop")
    const self = dockerd.cli("run", "-d", "--network", "shop", baseImage, "-e", serve)
    const id = run("--expose", "8000")
    await source.close()
    source = follow([self])
    let found: readonly Instance[] = []
    void (async () => {
      for await (const snapshot of source.watch("payment", new AbortController().signal)) found = snapshot.instances
    })()
    await until("it is known, and why it is not used", () => expect(source.containers()).toHaveLength(1))
    expect(found).toEqual([])
    dockerd.cli("network", "connect", "shop", id)
    await until("it is called in the network", () => expect(found.map((instance) => instance.port)).toEqual([8000]))
    expect(found[0]?.host).toBe(dockerd.cli("inspect", "-f", '{{(index .NetworkSettings.Networks "shop").IPAddress}}', id))
    expect(await (await fetch(`http://${found[0]?.host}:8000`)).text()).toBe(id)
    dockerd.cli("network", "disconnect", "shop", id)
    await until("it is out", () => expect(found).toEqual([]))
    dockerd.cli("rm", "-f", self, id)
    dockerd.cli("network", "rm", "shop")
  })

  it.each(["SIGTERM", "SIGKILL"] as const)(
    "a daemon that ends by %s and comes back: instances stay meanwhile, then converge within 5 s",
    async (signal) => {
      const id = run("-p", "8000", "--stop-timeout", "1")
      await until("it serves", () => expect(view()).toEqual([`${id} serving`]))
      await dockerd.end(signal)
      await until("contact is lost", () => expect(source.status().problem).toBeDefined(), 3000)
      // SIGTERM stops the containers first, which is heard; SIGKILL is not.
      if (signal === "SIGKILL") expect(latest).toHaveLength(1)
      await dockerd.start()
      const after = run("-p", "8000")
      await until("it has converged", () => expect(view()).toContain(`${after} serving`), 5000)
      expect(source.status()).toMatchObject({ connected: true })
      expect(source.status().problem).toBeUndefined()
      expect(source.status().connections).toBeGreaterThan(1)
    },
  )
})

describe.skipIf(missing !== undefined)("a real Docker engine over TCP with TLS", () => {
  it("is heard with the right certificate, and refused with a reason without one", async () => {
    const folder = mkdtempSync(join(tmpdir(), "meshwork-tls-"))
    const port = await freePort()
    makeCertificates(folder)
    const pem = (name: string) => join(folder, `${name}.pem`)
    const tls = ["--tlsverify", "--tlscacert", pem("ca"), "--tlscert", pem("server"), "--tlskey", pem("server-key")]
    const dockerd = await startDockerd({ args: ["-H", `tcp://127.0.0.1:${port}`, ...tls], image: false })
    try {
      const host = `tcp://127.0.0.1:${port}`
      const never = new AbortController().signal
      const engine = (address: ReturnType<typeof engineAddress>) => createDockerodeEngine({ address, clock: systemClock })
      const secure = engine(engineAddress({ env: { DOCKER_HOST: host, DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: folder } }))
      expect(await secure.list(never)).toEqual([])
      const named = engineAddress({ env: {}, host, tls: { ca: pem("ca"), cert: pem("cert"), key: pem("key") } })
      expect(await engine(named).list(never)).toEqual([])
      const stop = new AbortController()
      const events = await secure.events({}, stop.signal)
      dockerd.cli("network", "create", "noise")
      stop.abort()
      for await (const _ of events) break
      await expect(engine(engineAddress({ env: {}, host })).list(never)).rejects.toThrow(
        /^Docker at tcp:.* failed at listing containers: .*HTTP code 400/,
      )
      writeFileSync(pem("other"), "no certificate")
      const broken = engineAddress({ env: {}, host, tls: { ca: pem("ca"), cert: pem("other"), key: pem("key") } })
      await expect(engine(broken).list(never)).rejects.toMatchObject({ code: "connection_failed" })
    } finally {
      await dockerd.stop()
      rmSync(folder, { recursive: true })
    }
  })
})

/** A CA, a certificate of the server for 127.0.0.1 and one of a client, under the names that DOCKER_CERT_PATH expects. */
function makeCertificates(folder: string): void {
  const openssl = (...args: string[]): void => {
    const { status, stderr, error } = spawnSync("openssl", args, { cwd: folder, encoding: "utf8" })
    if (status !== 0) throw new Error(`openssl ${args.join(" ")}: ${error?.message ?? stderr}`)
  }
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
  openssl("req", "-x509", ...key, "-subj", "/CN=ca", "-keyout", "ca-key.pem", "-out", "ca.pem")
  for (const [cert, private_, name] of [
    ["server.pem", "server-key.pem", "subjectAltName=IP:127.0.0.1"],
    ["cert.pem", "key.pem", "extendedKeyUsage=clientAuth"],
  ] as const) {
    openssl("req", "-x509", ...key, "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-subj", "/CN=x", "-addext", name, "-keyout", private_, "-out", cert)
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** With a HEALTHCHECK in exec form, which the command line cannot say: `/tmp/well` is there. */
async function createChecked(dockerd: Dockerd, script: string): Promise<string> {
  const body = JSON.stringify({
    Image: baseImage,
    Cmd: ["-e", script],
    Labels: { app_name: "payment", env: "production" },
    ExposedPorts: { "8000/tcp": {} },
    HostConfig: { PortBindings: { "8000/tcp": [{}] } },
    Healthcheck: { Test: ["CMD", "/usr/local/bin/node", "-e", "require('fs').accessSync('/tmp/well')"], Interval: 1e9, Timeout: 5e9, Retries: 1 },
  })
  const { Id: id } = JSON.parse(await post(dockerd.socket, "/containers/create", body)) as { Id: string }
  dockerd.cli("start", id)
  return id.slice(0, 12)
}

function post(socketPath: string, path: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method: "POST", headers: { "content-type": "application/json" } }, (response) => {
      let text = ""
      response.on("data", (chunk) => (text += String(chunk))).on("end", () => resolve(text))
    })
    call.on("error", reject).end(body)
  })
}

async function eventually<T>(what: string, ms: number, attempt: () => T | Promise<T>): Promise<T> {
  for (const limit = performance.now() + ms; ; await new Promise((resolve) => setTimeout(resolve, 10))) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > limit) throw new Error(`${what}: not within ${ms} ms`, { cause: error })
    }
  }
}
