import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "./processes.mjs"

/** Whether there is an etcd on PATH. */
export const hasEtcd = spawnSync("etcd", ["--version"]).status === 0

/** Starts an etcd of our own over an empty folder; resolves when it answers. */
export async function startEtcd() {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-bench-etcd-"))
  const [port, peer] = [await freePort(), await freePort()]
  const [url, peerUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peer}`]
  const places = ["--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peerUrl]
  const cluster = ["--initial-advertise-peer-urls", peerUrl, "--initial-cluster", `default=${peerUrl}`]
  const child = spawn("etcd", ["--data-dir", folder, "--log-level", "error", ...places, ...cluster], { stdio: "ignore" })
  const limit = performance.now() + 20_000
  while (
    !(await fetch(`${url}/health`).then(
      (reply) => reply.ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null || performance.now() > limit) throw new Error(`etcd does not answer at ${url}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return {
    hostPort: `127.0.0.1:${port}`,
    stop: async () => {
      const ended = new Promise((resolve) => child.on("exit", resolve))
      child.kill("SIGTERM")
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
