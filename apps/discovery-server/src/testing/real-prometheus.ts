import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onTestFinished } from "vitest"

/** Whether this machine has Prometheus. With `prometheus` in `MESHWORK_REQUIRE` a machine without it is a fault. */
export function hasPrometheus(): boolean {
  const found = spawnSync("prometheus", ["--version"]).status === 0
  if (!found && (process.env["MESHWORK_REQUIRE"] ?? "").split(",").includes("prometheus"))
    throw new Error("prometheus is required, and not installed")
  return found
}

/** Something that Prometheus watches, as its API shows it. */
export interface ActiveTarget {
  labels: Record<string, string>
  discoveredLabels: Record<string, string>
  health: string
  lastError: string
}

/** A Prometheus with a configuration, ended with the test. */
export interface RealPrometheus {
  targets(): Promise<ActiveTarget[]>
  /** Values of an instant query by the label `instance`. */
  query(expression: string): Promise<Record<string, string>>
  /** What it wrote to its log. */
  log(): string
}

/** Starts Prometheus; resolves when it is ready. */
export async function startPrometheus(configuration: object): Promise<RealPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-prometheus-"))
  const port = await freePort()
  const file = join(folder, "prometheus.yml")
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(configuration))
  const options = [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, "data")}`, `--web.listen-address=127.0.0.1:${port}`]
  const child = spawn("prometheus", options, { stdio: ["ignore", "ignore", "pipe"] })
  let log = ""
  child.stderr.on("data", (chunk) => (log += String(chunk)))
  const gone = new Promise((resolve) => child.once("close", resolve))
  onTestFinished(async () => {
    child.kill("SIGKILL")
    await gone
    rmSync(folder, { recursive: true, force: true })
  })
  const read = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    return ((await response.json()) as { data: unknown }).data
  }
  const ready = () =>
    fetch(`http://127.0.0.1:${port}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  const limit = performance.now() + 20_000
  while (!(await ready())) {
    if (performance.now() > limit || child.exitCode !== null) throw new Error(`prometheus did not start:\n${log}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    targets: async () => ((await read("/api/v1/targets?state=active")) as { activeTargets: ActiveTarget[] }).activeTargets,
    query: async (expression) => {
      const { result } = (await read(`/api/v1/query?query=${encodeURIComponent(expression)}`)) as {
        result: { metric: Record<string, string>; value: [number, string] }[]
      }
      return Object.fromEntries(result.map(({ metric, value }) => [metric["instance"] ?? "", value[1]]))
    },
    log: () => log,
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
