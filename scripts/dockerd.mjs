// A Docker engine of our own for tests: nothing of it touches the machine's Docker or its images. Of its firewall only that is opened, for as long as the
// engine runs, which would forbid the engine's containers to talk to each other.
//   node scripts/dockerd.mjs        prints DOCKER_HOST and runs until it is stopped
// What works where: root, and Debian's docker.io. Networks are plain bridges; ports are published by docker-proxy, without iptables. Where
// overlayfs cannot be mounted, images are copied (vfs).
import { spawn, spawnSync } from "node:child_process"
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(import.meta.dirname, "..")
export const baseImage = "meshwork-base:local"

/** Why this machine cannot run an engine of our own, or undefined. */
export function dockerMissing() {
  if (process.getuid?.() !== 0) return "no Docker engine can be started here: that takes root"
  for (const program of ["dockerd", "containerd", "docker", "ip"]) {
    if (spawnSync(program, ["--version"]).error && spawnSync(program, ["-V"]).error)
      return `no Docker engine can be started here: ${program} is not installed`
  }
  return undefined
}

/** Starts an engine with the base image in it. Extra arguments go to dockerd. */
export async function startDockerd({ args = [], image = true } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-dockerd-"))
  const socket = join(folder, "docker.sock")
  const host = `unix://${socket}`
  mountControlGroups()
  const bridge = makeBridge()
  const containerd = startContainerd(folder)
  let storage = "overlay2"
  let child

  const cli = (...words) => {
    const { status, stdout, stderr, error } = spawnSync("docker", words, { encoding: "utf8", env: { ...process.env, DOCKER_HOST: host } })
    if (status !== 0) throw new Error(`docker ${words.join(" ")}: ${error?.message ?? stderr.trim()}`)
    return stdout.trim()
  }

  /** The same without standing still meanwhile: what a test sends goes on. */
  const run = (...words) =>
    new Promise((resolve, reject) => {
      const command = spawn("docker", words, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, DOCKER_HOST: host } })
      let said = ""
      let wrong = ""
      command.stdout.on("data", (chunk) => (said += chunk))
      command.stderr.on("data", (chunk) => (wrong += chunk))
      command.on("error", reject)
      command.on("close", (status) => (status === 0 ? resolve(said.trim()) : reject(new Error(`docker ${words.join(" ")}: ${wrong.trim()}`))))
    })

  const start = async () => {
    const log = openSync(join(folder, "log"), "a")
    const own = ["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec"), "--pidfile", join(folder, "pid"), "-H", host]
    own.push("--containerd", containerd.address)
    const network = ["--bridge", bridge.name, "--iptables=false", "--ip-masq=false", "--default-address-pool", bridge.pool]
    const started = spawn("dockerd", [...own, ...network, "--storage-driver", storage, ...args], { stdio: ["ignore", log, log], detached: true })
    closeSync(log)
    child = started
    const ended = new Promise((resolve) => started.on("exit", resolve).on("error", resolve))
    const limit = performance.now() + 30_000
    while (!(await answers(socket))) {
      const over = await Promise.race([ended.then(() => true), new Promise((resolve) => setTimeout(resolve, 25, false))])
      if (!over && performance.now() < limit) continue
      started.kill("SIGKILL")
      const said = readFileSync(join(folder, "log"), "utf8")
      if (storage === "overlay2" && /driver not supported|overlay/i.test(said.slice(-3000))) {
        storage = "vfs"
        return start()
      }
      throw new Error(`dockerd did not start:\n${said.slice(-3000)}`)
    }
  }

  /** Ends the daemon only; containers stay where it runs with --live-restore. */
  const end = async (signal = "SIGTERM") => {
    const ending = child
    if (ending.exitCode !== null || ending.signalCode !== null) return
    const ended = new Promise((resolve) => ending.on("exit", resolve))
    ending.kill(signal)
    await ended
  }

  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) await start().catch(() => {})
    try {
      const ids = cli("ps", "-aq").split("\n").filter(Boolean)
      if (ids.length > 0) cli("rm", "-f", ...ids)
      for (const id of cli("network", "ls", "-q", "--filter", "type=custom").split("\n").filter(Boolean)) cli("network", "rm", id)
    } catch (error) {
      process.stderr.write(`${error.message}\n`)
    }
    await end()
    await containerd.stop()
    for (const mount of mountsUnder(folder)) spawnSync("umount", ["-l", mount])
    spawnSync("ip", ["link", "del", bridge.name])
    bridge.close()
    rmSync(folder, { recursive: true, force: true })
  }

  try {
    await start()
    if (image) {
      const made = spawnSync(join(root, "docker/base-image.sh"), [baseImage], {
        encoding: "utf8",
        env: { ...process.env, NODE: process.execPath, DOCKER_HOST: host },
      })
      if (made.status !== 0) throw new Error(`docker/base-image.sh: ${made.stderr}`)
    }
  } catch (error) {
    await stop()
    throw error
  }
  return { host, socket, folder, cli, run, start, end, stop, storage: () => storage }
}

/** Containers need control groups; a machine without systemd may have none mounted. Those that are there stay as they are. */
function mountControlGroups() {
  if (/^\S+ \S+ cgroup2? /m.test(readFileSync("/proc/self/mounts", "utf8"))) return
  const mount = (...words) => spawnSync("mount", words, { encoding: "utf8" }).status === 0
  const controllers = readFileSync("/proc/cgroups", "utf8")
    .split("\n")
    .map((line) => line.split("\t"))
    .filter(([name, , , enabled]) => name && !name.startsWith("#") && enabled === "1")
    .map(([name]) => name)
  mount("-t", "tmpfs", "-o", "mode=755", "cgroup", "/sys/fs/cgroup")
  const old = controllers.filter((name) => {
    mkdirSync(`/sys/fs/cgroup/${name}`, { recursive: true })
    return mount("-t", "cgroup", "-o", name, name, `/sys/fs/cgroup/${name}`)
  })
  // Where the second version has all controllers the first one gets none.
  if (old.length === 0) mount("-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
}

/** A bridge of our own: the usual docker0 belongs to the machine's Docker. */
function makeBridge() {
  const ip = (...words) => spawnSync("ip", words, { encoding: "utf8" })
  for (let number = process.pid % 4096, tries = 0; tries < 50; number = (number + 7) % 4096, tries++) {
    const name = `mwd${number}`
    const net = `10.${224 + (number >> 8)}.${number & 255}`
    if (ip("link", "add", name, "type", "bridge").status !== 0) continue
    if (ip("addr", "add", `${net}.1/24`, "dev", name).status === 0 && ip("link", "set", name, "up").status === 0) {
      const pool = `10.${240 + ((number >> 8) % 16)}.${number & 255}.0/24`
      return { name, pool: `base=${pool},size=27`, close: allowWithin([`${net}.0/24`, pool]) }
    }
    ip("link", "del", name)
  }
  throw new Error("no bridge can be made for a Docker engine: ip link add failed")
}

/** What goes from container to container is forbidden where another Docker closed the firewall; allows it within these networks. Returns what takes it back. */
function allowWithin(networks) {
  const rules = (action) => networks.map((network) => spawnSync("iptables", [action, "FORWARD", "-s", network, "-d", network, "-j", "ACCEPT"]))
  const listed = spawnSync("iptables", ["-S", "FORWARD"], { encoding: "utf8" })
  if (listed.status !== 0 || !listed.stdout.includes("-P FORWARD DROP")) return () => {}
  rules("-I")
  return () => void rules("-D")
}

function answers(socketPath) {
  return new Promise((resolve) => {
    const call = request({ socketPath, path: "/_ping", timeout: 2000 }, (response) => resolve(response.resume().statusCode === 200))
    call
      .on("error", () => resolve(false))
      .on("timeout", () => call.destroy())
      .end()
  })
}

/** A process of its own, as packages of Docker have it too: one that belonged to dockerd would not outlive a kill -9. */
function startContainerd(folder) {
  const address = join(folder, "containerd.sock")
  const log = openSync(join(folder, "log"), "a")
  const where = ["--root", join(folder, "containerd"), "--state", join(folder, "containerd-state"), "--address", address]
  const child = spawn("containerd", where, { stdio: ["ignore", log, log], detached: true })
  closeSync(log)
  const ended = new Promise((resolve) => child.on("exit", resolve).on("error", resolve))
  const stop = () => {
    child.kill("SIGKILL")
    return ended
  }
  return { address, stop }
}

function mountsUnder(folder) {
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((mount) => mount.startsWith(`${folder}/`))
    .toReversed()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const missing = dockerMissing()
  if (missing) {
    process.stderr.write(`${missing}\n`)
    process.exit(1)
  }
  const engine = await startDockerd({ args: process.argv.slice(2) })
  process.stdout.write(`DOCKER_HOST=${engine.host}\n`)
  const stop = () => void engine.stop().then(() => process.exit(0))
  process.once("SIGINT", stop)
  process.once("SIGTERM", stop)
}
