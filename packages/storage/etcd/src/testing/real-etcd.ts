import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const startLimitMs = 20_000

/** Whether this machine has etcd and etcdctl. With `etcd` in `MESHWORK_REQUIRE` a machine without them is a fault. */
export function hasEtcd(): boolean {
  const found = spawnSync("etcd", ["--version"]).status === 0 && spawnSync("etcdctl", ["version"]).status === 0
  if (found) return true
  if ((process.env["MESHWORK_REQUIRE"] ?? "").split(",").includes("etcd")) throw new Error("etcd and etcdctl are required, and not installed")
  console.warn("etcd or etcdctl is not installed: what needs a real one is not tried")
  return false
}

/** One member of an etcd of its own. */
export interface EtcdMember {
  readonly endpoint: string
  /** Ends it as `kill -9` does. */
  kill(): Promise<void>
  /** Starts it again with what it kept. */
  start(): Promise<void>
  /** Stops it without ending it, as `kill -STOP` does. */
  freeze(): void
  thaw(): void
}

/** An etcd of its own, of one or several members. */
export interface RealEtcd {
  readonly members: readonly EtcdMember[]
  /** Endpoints of all members. */
  readonly endpoints: readonly string[]
  /** What etcdctl prints for these arguments, at the members that run. */
  ctl(...args: string[]): Promise<string>
  /** All keys under a prefix with their values. */
  content(prefix?: string): Promise<Record<string, string>>
  /** Forgets every revision but the present one. */
  compact(): Promise<void>
  /** The present revision. */
  revision(): Promise<number>
  /** Number of the member that leads. */
  leader(): Promise<number>
  /** Ends every member, and starts all of them without any data. */
  wipe(): Promise<void>
  /** Makes a backup, waits for `meanwhile`, ends the one member there is and starts it with the backup. */
  restoreBackupAfter(meanwhile: () => Promise<void>): Promise<void>
  /** Ends it and removes what it kept. */
  remove(): Promise<void>
}

/** Starts an etcd on free ports of this machine; resolves when it answers. */
export async function startEtcd(count = 1): Promise<RealEtcd> {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-etcd-"))
  const ports = await freePorts(count * 2)
  const peers = Array.from({ length: count }, (_, index) => `http://127.0.0.1:${ports[count + index]}`)
  const cluster = peers.map((peer, index) => `m${index}=${peer}`).join()
  const members = Array.from({ length: count }, (_, index) => new Member(folder, index, ports[index] ?? 0, peers[index] ?? "", cluster))
  const endpoints = members.map((member) => member.endpoint)
  const ctl = (...args: string[]) =>
    etcdctl(
      members.filter((member) => member.runs).map((member) => member.endpoint),
      args,
    )
  const startAll = async () => {
    await Promise.all(members.map((member) => member.start()))
    await until(() => ctl("endpoint", "health"))
  }
  await startAll()
  const status = async () =>
    JSON.parse(await ctl("endpoint", "status", "--write-out", "json")) as {
      Endpoint: string
      Status: { leader: number; header: { member_id: number; revision: number } }
    }[]
  const killAll = () => Promise.all(members.map((member) => member.kill()))
  return {
    members,
    endpoints,
    ctl,
    content: async (prefix = "") => {
      const { kvs = [] } = JSON.parse(await ctl("get", prefix, "--prefix", "--write-out", "json")) as { kvs?: { key: string; value?: string }[] }
      const text = (base64 = "") => Buffer.from(base64, "base64").toString("utf8")
      return Object.fromEntries(kvs.map(({ key, value }) => [text(key), text(value)]))
    },
    compact: async () => {
      const [first] = await status()
      await ctl("compact", String(first?.Status.header.revision))
    },
    revision: async () => (await status())[0]?.Status.header.revision ?? 0,
    leader: async () => {
      const answers = await status()
      const leading = answers.find(({ Status }) => Status.leader === Status.header.member_id)
      return endpoints.indexOf(leading?.Endpoint ?? "")
    },
    wipe: async () => {
      await killAll()
      for (let index = 0; index < count; index++) rmSync(join(folder, `m${index}`), { recursive: true, force: true })
      await startAll()
    },
    restoreBackupAfter: async (meanwhile) => {
      const backup = join(folder, "backup.db")
      await ctl("snapshot", "save", backup)
      await meanwhile()
      await killAll()
      rmSync(join(folder, "m0"), { recursive: true, force: true })
      const first = ["--name", "m0", "--initial-cluster", cluster, "--initial-advertise-peer-urls", peers[0] ?? ""]
      await etcdctl([], ["snapshot", "restore", backup, "--data-dir", join(folder, "m0"), ...first])
      await startAll()
    },
    remove: async () => {
      await killAll()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

class Member implements EtcdMember {
  readonly endpoint: string
  readonly #args: string[]
  #child: ChildProcess | undefined

  constructor(folder: string, index: number, port: number, peer: string, cluster: string) {
    this.endpoint = `127.0.0.1:${port}`
    const url = `http://${this.endpoint}`
    this.#args = ["--name", `m${index}`, "--data-dir", join(folder, `m${index}`), "--listen-client-urls", url, "--advertise-client-urls", url]
    this.#args.push("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster, "--log-level", "error")
  }

  get runs(): boolean {
    return this.#child !== undefined
  }

  async start(): Promise<void> {
    this.#child = spawn("etcd", this.#args, { stdio: "ignore" })
    const child = this.#child
    // A member of several answers only when the others do too: that it listens is enough here.
    await until(async () => {
      if (child.exitCode !== null) throw new Error("etcd ended by itself")
      await etcdctl([this.endpoint], ["get", "-", "--consistency", "s"])
    })
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once("exit", resolve))
    child.kill("SIGKILL")
    await gone
  }

  freeze(): void {
    this.#child?.kill("SIGSTOP")
  }

  thaw(): void {
    this.#child?.kill("SIGCONT")
  }
}

function etcdctl(endpoints: readonly string[], args: readonly string[]): Promise<string> {
  const env = { PATH: process.env["PATH"] ?? "", ETCDCTL_API: "3" }
  return new Promise((resolve, reject) =>
    execFile("etcdctl", ["--endpoints", endpoints.join(), "--dial-timeout", "1s", "--command-timeout", "3s", ...args], { env }, (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    ),
  )
}

async function until(attempt: () => Promise<unknown>): Promise<void> {
  const limit = performance.now() + startLimitMs
  for (;;) {
    try {
      await attempt()
      return
    } catch (error) {
      if (performance.now() > limit) throw new Error("etcd did not start", { cause: error })
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
