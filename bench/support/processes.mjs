import { spawn, spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:net"

const ticksPerSecond = Number(spawnSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).stdout) || 100
const canPin = spawnSync("taskset", ["-V"]).status === 0

/** Starts a Node program on one core; resolves when its port answers. */
export function startProgram(args, port, core, environment = {}) {
  return startServer({ command: [process.execPath, ...args], environment }, port, core)
}

/** Starts any program on one core; resolves when its port answers. It must not leave its process for another one. */
export async function startServer({ command: own, environment }, port, core) {
  const command = canPin ? ["taskset", "-c", String(core), ...own] : own
  const child = spawn(command[0], command.slice(1), { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...environment } })
  let said = ""
  child.stderr.on("data", (chunk) => {
    said = (said + chunk).slice(-4000)
  })
  const limit = performance.now() + 30_000
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${own.join(" ")} ended with ${child.exitCode}: ${said}`)
    if (await fetch(`http://127.0.0.1:${port}/`).then(drain, () => false)) break
    if (performance.now() > limit) throw new Error(`${own.join(" ")} did not listen on ${port}: ${said}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { pid: child.pid, stop: () => end(child), said: () => said }
}

async function drain(response) {
  await response.arrayBuffer()
  return true
}

/** Idempotent. */
function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  const ended = new Promise((resolve) => child.on("exit", resolve))
  child.kill("SIGTERM")
  return ended
}

/** CPU time a process has used, in microseconds: of all its threads that live. Finer than the ticks of /proc/PID/stat where the kernel tells. */
export function cpuMicros(pid) {
  if (!existsSync(`/proc/${pid}/schedstat`)) return ticksMicros(pid)
  let nanos = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanos += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0])
    } catch {
      // The thread has ended since.
    }
  }
  return nanos / 1000
}

function ticksMicros(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ")
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6
}

/** Resident memory of a process, in MB. */
export function residentMegabytes(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024
}

/** A port nobody listens on now. */
export async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}
