import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Whether this machine has etcd and etcdctl. With `etcd` in `MESHWORK_REQUIRE` a machine without them is a fault. */
export function hasEtcd(): boolean {
  const found = spawnSync("etcd", ["--version"]).status === 0 && spawnSync("etcdctl", ["version"]).status === 0
  if (!found && (process.env["MESHWORK_REQUIRE"] ?? "").split(",").includes("etcd"))
    throw new Error("etcd and etcdctl are required, and not installed")
  return found
}

/** An etcd of its own. */
export interface RealEtcd {
  readonly endpoint: string
  /** What etcdctl prints for these arguments. */
  ctl(...args: string[]): Promise<string>
  /** All keys with their values, as etcdctl has them. */
  content(): Promise<Record<string, string>>
  stop(): Promise<void>
  /** Starts it again with what it kept. */
  start(): Promise<void>
  /** Ends it and removes what it kept. */
  remove(): Promise<void>
}

/** Starts etcd on free ports of this machine. */
export async function startEtcd(): Promise<RealEtcd> {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-etcd-"))
  const [clientPort, peerPort] = await freePorts()
  const endpoint = `127.0.0.1:${clientPort}`
  const url = `http://${endpoint}`
  const peer = `http://127.0.0.1:${peerPort}`
  let child: ChildProcess | undefined
  const ctl = (...args: string[]) =>
    new Promise<string>((resolve, reject) => {
      const env = { PATH: process.env["PATH"] ?? "", ETCDCTL_API: "3" }
      execFile("etcdctl", ["--endpoints", endpoint, ...args], { env }, (error, stdout) => (error ? reject(error) : resolve(stdout)))
    })
  const stop = async () => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const gone = new Promise((resolve) => running.once("exit", resolve))
    running.kill("SIGKILL")
    await gone
  }
  const start = async () => {
    const args = ["--data-dir", folder, "--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer]
    const launch = () => spawn("etcd", [...args, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`], { stdio: "ignore" })
    child = launch()
    const limit = performance.now() + 45_000
    const healthy = () =>
      ctl("endpoint", "health").then(
        () => true,
        () => false,
      )
    while (!(await healthy())) {
      // Somebody's outgoing connection may have had the port for a moment.
      if (child.exitCode !== null) child = launch()
      if (performance.now() > limit) {
        await stop()
        throw new Error("etcd did not start")
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  await start()
  return {
    endpoint,
    ctl,
    content: async () => {
      const { kvs = [] } = JSON.parse(await ctl("get", "", "--prefix", "--write-out", "json")) as { kvs?: { key: string; value?: string }[] }
      const text = (base64 = "") => Buffer.from(base64, "base64").toString("utf8")
      return Object.fromEntries(kvs.map(({ key, value }) => [text(key), text(value)]))
    },
    stop,
    start,
    remove: async () => {
      await stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()]
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))))
  const [first, second] = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return [first ?? 0, second ?? 0]
}
