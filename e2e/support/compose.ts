import { execFile, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { buildImages, layOut, makeLocalImages } from "../../scripts/images.mjs"
import { dockerReason } from "./docker.ts"
import { eventually } from "./eventually.ts"
import { getOk } from "./mesh.ts"
import { freePorts, keepLog, root } from "./programs.ts"
import { engineFile, startDetached } from "./shared-engine.ts"

const run = promisify(execFile)
const commands = [["docker-compose"], ["docker", "compose"]]
const command = commands.find(([program = "", ...words]) => spawnSync(program, [...words, "version"]).status === 0)
const needed = ["etcd", "etcdctl", "prometheus"].find((program) => spawnSync(program, ["--version"]).error !== undefined)

/** Why the compose file cannot be tried here, or undefined. Skips, unless MESHWORK_REQUIRE names compose. */
export const composeReason: string | undefined =
  dockerReason ?? (command === undefined ? "docker-compose is not installed" : needed === undefined ? undefined : `${needed} is not installed`)
if (composeReason !== undefined && process.env["MESHWORK_REQUIRE"]?.split(",").includes("compose")) throw new Error(composeReason)

/** The mesh of docker/compose.yaml on an engine of the tests' own, as it is for everyone: all containers, healthy. */
export interface ComposedMesh {
  readonly gatewayUrl: string
  readonly adminUrl: string
  readonly discoveryUrls: readonly [string, string]
  readonly prometheusUrl: string
  /** Runs `docker`; resolves to what it prints. */
  docker(...words: string[]): Promise<string>
  /** Runs `docker-compose` for this project. */
  compose(...words: string[]): Promise<string>
  /** Name of the container of a service; the first one, where it has several. */
  container(service: string, number?: number): string
  /** Kills its process as the machine would: its restart policy counts. */
  kill9(container: string): Promise<void>
  /** Resolves when a container runs, and is healthy where it has a check. */
  healthy(container: string, ms?: number): Promise<void>
}

const project = "meshwork"

interface Engine {
  pid: number
  host: string
  ports: number[]
}

/** Starts what is not running yet; what every container said is kept when the test fails. */
export async function composedMesh(): Promise<ComposedMesh> {
  const { host, ports } = await engine()
  const [gateway, admin, first, second, prometheus] = ports
  const env = {
    ...process.env,
    DOCKER_HOST: host,
    COMPOSE_PROJECT_NAME: project,
    MESHWORK_GATEWAY_PORT: String(gateway),
    MESHWORK_ADMIN_PORT: String(admin),
    MESHWORK_DISCOVERY_PORT: String(first),
    MESHWORK_DISCOVERY_2_PORT: String(second),
    MESHWORK_PROMETHEUS_PORT: String(prometheus),
  }
  const docker = async (...words: string[]): Promise<string> => (await run("docker", words, { env, maxBuffer: 2 ** 26 })).stdout.trim()
  const compose = async (...words: string[]): Promise<string> => {
    const [program = "", ...before] = command ?? []
    const files = ["compose.yaml", "compose.local.yaml"].flatMap((file) => ["-f", join(root, "docker", file)])
    return (await run(program, [...before, ...files, ...words], { env, maxBuffer: 2 ** 26 })).stdout.trim()
  }
  keepLog("containers", () => {
    const names = spawnSync("docker", ["ps", "-a", "--format", "{{.Names}} {{.Status}}"], { env, encoding: "utf8" }).stdout.trim().split("\n")
    const logOf = (line: string): string => {
      const { stdout, stderr } = spawnSync("docker", ["logs", "-t", "--tail", "100", line.split(" ")[0] ?? ""], { env, encoding: "utf8" })
      return `--- ${line}\n${stdout}${stderr}`
    }
    return names.map(logOf).join("\n")
  })
  await compose("up", "-d")

  const separator = command?.length === 1 ? "_" : "-"
  const mesh: ComposedMesh = {
    gatewayUrl: `http://127.0.0.1:${gateway}`,
    adminUrl: `http://127.0.0.1:${admin}`,
    discoveryUrls: [`http://127.0.0.1:${first}`, `http://127.0.0.1:${second}`],
    prometheusUrl: `http://127.0.0.1:${prometheus}`,
    docker,
    compose,
    container: (service, number = 1) => [project, service, number].join(separator),
    async kill9(container) {
      process.kill(Number(await docker("inspect", "-f", "{{.State.Pid}}", container)), "SIGKILL")
    },
    healthy: (container, ms = 60_000) =>
      eventually(`${container} is healthy`, ms, async () => {
        const state = await docker("inspect", "-f", "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}", container)
        if (!/^running( healthy)?$/.test(state)) throw new Error(state)
      }),
  }
  const names = (await docker("ps", "-a", "--format", "{{.Names}}")).split("\n").filter((name) => !/token|cli/.test(name))
  await Promise.all(names.map((name) => mesh.healthy(name)))
  await eventually("two instances of each serve", 30_000, async () => {
    for (const service of ["orders", "payment"]) {
      const { instances } = (await getOk(`${mesh.discoveryUrls[0]}/v1/services/${service}/instances?standing=serving`)) as { instances: unknown[] }
      if (instances.length < 2) throw new Error(`${instances.length} of ${service}`)
    }
    await getOk(`${mesh.gatewayUrl}/api/orders/7`)
  })
  return mesh
}

/** The engine of this run, with all images in it. */
async function engine(): Promise<Engine> {
  const file = engineFile()
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as Engine
  const { pid, line } = await startDetached(join(root, "scripts/dockerd.mjs"))
  const host = line.replace("DOCKER_HOST=", "")
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify({ pid, host, ports: await freePorts(5) } satisfies Engine))
  const own = { ...process.env, DOCKER_HOST: host }
  layOut()
  makeLocalImages(own)
  buildImages({ base: "meshwork-base:local", engine: own })
  return JSON.parse(readFileSync(file, "utf8")) as Engine
}
