import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Where the scenarios of one run find the engine that the first of them started: a file that holds pid and DOCKER_HOST. */
const variable = "MESHWORK_E2E_ENGINE"

/** Before all scenarios: says where. After them: ends the engine, with everything in it, if there is one. */
export function setup(): () => Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-e2e-engine-"))
  const file = join(folder, "engine")
  process.env[variable] = file
  return async () => {
    if (existsSync(file)) await end((JSON.parse(readFileSync(file, "utf8")) as { pid: number }).pid)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The file, for those who start and find the engine. */
export function engineFile(): string {
  const file = process.env[variable]
  if (file === undefined) throw new Error(`${variable} is not set: run the scenarios with e2e/vitest.config.ts`)
  return file
}

/** Starts `node FILE ARGS…` in a group of its own, so that it outlives the scenario; resolves to pid and first line it prints. */
export async function startDetached(file: string, args: readonly string[] = []): Promise<{ pid: number; line: string }> {
  const child = spawn(process.execPath, [file, ...args], { detached: true, stdio: ["ignore", "pipe", "ignore"] })
  const line = await new Promise<string>((resolve, reject) => {
    let said = ""
    child.stdout.on("data", (chunk) => {
      said += String(chunk)
      if (said.includes("\n")) resolve(said.split("\n")[0] ?? "")
    })
    child.on("exit", (code) => reject(new Error(`${file} ended with ${code}: ${said}`)))
  })
  child.stdout.destroy()
  child.unref()
  return { pid: child.pid ?? -1, line }
}

async function end(pid: number): Promise<void> {
  const limit = performance.now() + 60_000
  for (let signal: "SIGTERM" | 0 = "SIGTERM"; performance.now() < limit; signal = 0) {
    try {
      process.kill(pid, signal)
    } catch {
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
