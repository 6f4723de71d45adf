import { spawnSync } from "node:child_process"
import { eventually } from "./eventually.ts"
import { freePorts, launch, type Program, scratchFolder } from "./programs.ts"

const required = (process.env["MESHWORK_REQUIRE"] ?? "").split(",").includes("etcd")

/** Why there is no etcd here; undefined where there is one. Skips with this reason, unless MESHWORK_REQUIRE names etcd. */
export const etcdMissing: string | undefined = (() => {
  const { status, error } = spawnSync("etcd", ["--version"], { encoding: "utf8" })
  const missing = status === 0 ? undefined : `no etcd here: ${error?.message ?? `it ended with ${status}`}`
  if (missing !== undefined && required) throw new Error(missing)
  return missing
})()

/** An etcd of the test's own, which goes with it. */
export async function startEtcd(): Promise<Program & { endpoint: string }> {
  const [client, peer] = await freePorts(2)
  const [clientUrl, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`]
  const args = ["--data-dir", scratchFolder(), "--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl, "--log-level", "error"]
  const cluster = ["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl, "--initial-cluster", `default=${peerUrl}`]
  const program = launch("etcd", "etcd", [...args, ...cluster])
  await eventually("etcd is healthy", 30_000, async () => {
    const response = await fetch(`${clientUrl}/health`, { signal: AbortSignal.timeout(2000) })
    if (!((await response.json()) as { health: string }).health.includes("true")) throw new Error("not yet")
  })
  return { ...program, endpoint: `127.0.0.1:${client}` }
}
