import { execFile, spawnSync } from "node:child_process"
import { join } from "node:path"
import { eventually } from "./eventually.ts"
import { freePorts, launch, type Program, scratchFolder } from "./programs.ts"

/** Whether this machine has etcd and etcdctl. With `etcd` in `MESHWORK_REQUIRE` a machine without them is a fault. */
export function hasEtcd(): boolean {
  const found = spawnSync("etcd", ["--version"]).status === 0 && spawnSync("etcdctl", ["version"]).status === 0
  if (!found && (process.env["MESHWORK_REQUIRE"] ?? "").split(",").includes("etcd"))
    throw new Error("etcd and etcdctl are required, and not installed")
  return found
}

/** An etcd of one member, with etcdctl as the witness. */
export interface EtcdProcess {
  readonly endpoint: string
  start(): Promise<void>
  stop(): Promise<void>
  /** What etcdctl prints for these arguments. */
  ctl(...args: string[]): Promise<string>
  /** Keys under a prefix with their values. */
  content(prefix: string): Promise<Record<string, string>>
}

/** Lays out an etcd; it does not run until it is started, and keeps what it holds until the test ends. */
export async function createEtcd(): Promise<EtcdProcess> {
  const folder = scratchFolder()
  const [client, peer] = await freePorts(2)
  const endpoint = `127.0.0.1:${client}`
  const peerUrl = `http://127.0.0.1:${peer}`
  const addresses = ["--listen-client-urls", `http://${endpoint}`, "--advertise-client-urls", `http://${endpoint}`, "--listen-peer-urls", peerUrl]
  const args = ["--data-dir", join(folder, "etcd"), ...addresses]
  let program: Program | undefined
  const ctl = (...words: string[]) =>
    new Promise<string>((resolve, reject) => {
      const env = { PATH: process.env["PATH"] ?? "", ETCDCTL_API: "3" }
      execFile("etcdctl", ["--endpoints", endpoint, ...words], { env }, (error, stdout) => (error ? reject(error) : resolve(stdout)))
    })
  return {
    endpoint,
    ctl,
    async start() {
      program = launch("etcd", "etcd", [...args, "--initial-advertise-peer-urls", peerUrl, "--initial-cluster", `default=${peerUrl}`])
      await eventually("etcd is healthy", 45_000, () => ctl("endpoint", "health"))
    },
    async stop() {
      program?.kill("SIGKILL")
      await program?.ended
    },
    async content(prefix) {
      const { kvs = [] } = JSON.parse(await ctl("get", prefix, "--prefix", "--write-out", "json")) as { kvs?: { key: string; value?: string }[] }
      const text = (base64 = "") => Buffer.from(base64, "base64").toString("utf8")
      return Object.fromEntries(kvs.map(({ key, value }) => [text(key), text(value)]))
    },
  }
}
