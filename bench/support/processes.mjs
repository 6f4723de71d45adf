import { spawn, spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:net"

const ticksPerSecond = Number(spawnSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).stdout) || 100
const canPin = spawnSync("taskset", ["-V"]).status === 0

/** Starts a Node program on one core; resolves when its port accepts connections. */
export async function startProgram(args, port, core, environment = {}) {
  const command = canPin ? ["taskset", "-c", String(core), process.execPath, ...args] : [process.execPath, ...args]
  const child = spawn(command[0], command.slice(1), { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...environment } })
  let said = ""
  child.stderr.on("data", (chunk) => {
    said = (said + chunk).slice(-4000)
  })
  const limit = performance.now() + 30_000
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${args[0]} ended with ${child.exitCode}: ${said}`)
    if (await fetch(`http://127.0.0.1:${port}/`).then(drain, () => false)) break
    if (performance.now() > limit) throw new Error(`${args[0]} did not listen on ${port}: ${said}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { pid: child.pid, stop: () => end(child), said: () => said }
}

async function drain(response) {
  await response.arrayBuffer()
  return true
}

function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  const ended = new Promise((resolve) => child.on("exit", resolve))
  child.kill("SIGTERM")
  return ended
}

/** CPU time a process has used, in microseconds; exact where the kernel counts what each thread ran, else in ticks. */
export function cpuMicros(pid) {
  try {
    const threads = readdirSync(`/proc/${pid}/task`)
    return threads.reduce((sum, thread) => sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]), 0) / 1000
  } catch {
    return cpuMicrosByTicks(pid)
  }
}

function cpuMicrosByTicks(pid) {
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
