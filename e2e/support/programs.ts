import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type AddressInfo, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onTestFailed, onTestFinished } from "vitest"

export const root: string = join(import.meta.dirname, "../..")

/** A program under test with everything it printed. */
export interface Program {
  readonly title: string
  readonly pid: number
  stdout(): string
  stderr(): string
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>
  kill(signal: NodeJS.Signals): void
}

export interface LaunchOptions {
  env?: Record<string, string>
  cwd?: string
}

/** A folder that goes with the test. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-e2e-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * Ports nobody listens on now, and nobody takes by chance before the program does: they lie below those that the kernel gives to connections and
 * to whoever asks for any port, and each worker has a range of its own.
 */
export async function freePorts<const N extends number>(count: N): Promise<number[] & { length: N }> {
  const first = 15_000 + (Number(process.env["VITEST_POOL_ID"] ?? 0) % 8) * 2000
  const servers: Server[] = []
  for (let tries = 0; servers.length < count; tries++) {
    if (tries > 1000) throw new Error(`no ${count} free ports from ${first} on`)
    const server = createServer()
    const port = first + Math.floor(Math.random() * 2000)
    const taken = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false))
      server.listen(port, "127.0.0.1", () => resolve(true))
    })
    if (taken) servers.push(server)
  }
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports as number[] & { length: N }
}

/** When the test fails, prints what a process said, and leaves it as a file under `.artefacts/` for whoever looks later. */
export function keepLog(title: string, log: () => string): void {
  onTestFailed(({ task }) => {
    const said = log()
    process.stderr.write(`--- ${title}\n${said}\n`)
    const folder = join(root, ".artefacts", task.name.replace(/[^\w.-]+/g, "-").slice(0, 80))
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `${title.replace(/[^\w.-]+/g, "-")}.log`), said)
  })
}

/** Starts a program; it ends with the test, and prints what it said when the test fails. */
export function launch(title: string, command: string, args: readonly string[], options: LaunchOptions = {}): Program {
  const child: ChildProcess = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  })
  let stdout = ""
  let stderr = ""
  child.stdout?.on("data", (chunk) => (stdout += String(chunk)))
  child.stderr?.on("data", (chunk) => (stderr += String(chunk)))
  const ended = new Promise<number | string>((resolve) => {
    child.on("error", (error) => resolve(error.message))
    child.on("close", (code, signal) => resolve(code ?? signal ?? "unknown"))
  })
  keepLog(`${title} (pid ${child.pid})`, () => `${stdout}${stderr}`)
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill("SIGTERM")
    const patience = setTimeout(() => child.kill("SIGKILL"), 15_000)
    await ended
    clearTimeout(patience)
  })
  return { title, pid: child.pid ?? -1, stdout: () => stdout, stderr: () => stderr, ended, kill: (signal) => void child.kill(signal) }
}

/** Runs `meshwork` with these arguments. */
export function meshwork(title: string, args: readonly string[], options: LaunchOptions = {}): Program {
  return launch(title, process.execPath, [join(root, "apps/cli/bin/meshwork.js"), ...args], options)
}
