import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll } from "vitest"
import { baseImage, type Dockerd, dockerMissing, startDockerd } from "../../scripts/dockerd.mjs"
import { eventually } from "./eventually.ts"
import { getOk } from "./mesh.ts"
import { freePorts, meshwork, type Program, scratchFolder } from "./programs.ts"

/** Why no Docker engine can be started here, or undefined. Skips with this reason, unless MESHWORK_REQUIRE names docker. */
export const dockerReason: string | undefined = dockerMissing()
if (dockerReason !== undefined && process.env["MESHWORK_REQUIRE"]?.split(",").includes("docker")) throw new Error(dockerReason)

/** Answers with the container's name, stops politely at SIGTERM, and is unhealthy while `/tmp/sick` is there. */
export const serve = `
const { createServer } = require("node:http")
const server = createServer((request, response) => response.end(process.env.NAME)).listen(8000)
const { existsSync, writeFileSync, rmSync } = require("node:fs")
process.on("SIGTERM", () => { server.close(() => process.exit()); server.closeIdleConnections() })
process.on("SIGUSR2", () => existsSync("/tmp/sick") ? rmSync("/tmp/sick") : writeFileSync("/tmp/sick", ""))
`

/** One engine for all tests of a file; each begins without containers. */
export function engineOfThisFile(args: readonly string[] = []): () => Dockerd {
  let dockerd: Dockerd | undefined
  const engine = (): Dockerd => {
    if (dockerd === undefined) throw new Error("the Docker engine did not start")
    return dockerd
  }
  beforeAll(async () => {
    if (dockerReason === undefined) dockerd = await startDockerd({ args })
  }, 60_000)
  afterEach(async () => {
    if (dockerd === undefined) return
    const ids = (await dockerd.run("ps", "-aq")).split("\n").filter(Boolean)
    if (ids.length > 0) await dockerd.run("rm", "-f", ...ids)
  })
  afterAll(() => dockerd?.stop(), 60_000)
  return engine
}

/** Starts a container of a service as rgate's README labels it; returns its name. */
export async function startContainer(dockerd: Dockerd, service: string, name: string, more: readonly string[] = []): Promise<string> {
  const labels = ["--label", `app_name=${service}`, "--label", "env=production"]
  await dockerd.run("run", "-d", "--name", name, "-e", `NAME=${name}`, ...labels, "-p", "8000", ...more, baseImage, "-e", serve)
  await untilItAnswers(dockerd, name)
  return name
}

/** An image of nothing but `sleep`, whose containers cost next to nothing; returns its name. */
export function makeSleeper(dockerd: Dockerd): string {
  const script = `set -eu; folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; sleep=$(command -v sleep)
    for file in "$sleep" $(ldd "$sleep" | grep -o '/[^ )]*'); do mkdir -p "$folder$(dirname "$file")"; cp -L "$file" "$folder$file"; done
    tar -C "$folder" -c . | docker import -c 'ENTRYPOINT ["'"$sleep"'", "600"]' - sleeper`
  const { status, stderr } = spawnSync("sh", ["-c", script], { encoding: "utf8", env: { ...process.env, DOCKER_HOST: dockerd.host } })
  if (status !== 0) throw new Error(`no image of sleep: ${stderr}`)
  return "sleeper"
}

/** How long a program takes to start is its own matter: from here on it is the gateway's. */
export async function untilItAnswers(dockerd: Dockerd, name: string): Promise<void> {
  await eventually(`${name} itself answers`, 15_000, async () => {
    const port = /:(\d+)$/.exec((await dockerd.run("port", name, "8000/tcp")).split("\n")[0] ?? "")?.[1]
    const response = await fetch(`http://127.0.0.1:${port}`, { signal: AbortSignal.timeout(1000) })
    if ((await response.text()) !== name) throw new Error(`another one answers at port ${port}`)
  })
}

/** rgate's README: payment and orders, and an answer for everything else. */
export const readme = `
routes:
  - { path_prefix: /api/payment, backend: payment }
  - { path_prefix: /api/orders, backend: orders }
default_response: { body: "This is not reachable", status_code: 403 }
backends:
  - { name: payment, match_labels: [app_name=payment, env=production] }
  - { name: orders, match_labels: [app_name=orders, env=production] }
`

/** A gateway process with rgate's file. */
export interface RgateGateway extends Program {
  readonly url: string
  readonly adminUrl: string
  /** Names of the containers that answer 40 requests to a path. */
  answering(path: string): Promise<string[]>
}

/** Starts `meshwork gateway --port … --config config.yml`. */
export async function startRgate(dockerd: Pick<Dockerd, "host">, folder: string = scratchFolder()): Promise<RgateGateway> {
  const [port, admin] = await freePorts(2)
  const file = join(folder, "config.yml")
  writeFileSync(file, readme)
  const args = ["gateway", "--port", String(port), "--admin-port", String(admin), "--config", file]
  const program = meshwork("gateway", args, { cwd: folder, env: { DOCKER_HOST: dockerd.host } })
  const [url, adminUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${admin}`]
  await eventually("the gateway is up", 15_000, () => getOk(`${url}/stats`))
  const answering = async (path: string): Promise<string[]> => {
    const answers = await Promise.all(Array.from({ length: 40 }, async () => (await fetch(`${url}${path}`)).text()))
    return [...new Set(answers)].sort()
  }
  return { ...program, url, adminUrl, answering }
}
