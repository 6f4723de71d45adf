import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { onTestFinished } from "vitest"

/** A run of the built command as a process of its own. */
export interface SpawnedRun {
  readonly child: ChildProcess
  readonly output: { stdout: string; stderr: string }
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>
}

/** Starts the built command; it ends with the test. */
export function spawnMeshwork(args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd?: string): SpawnedRun {
  const bin = join(import.meta.dirname, "../../bin/meshwork.js")
  const child = spawn(process.execPath, [bin, ...args], { cwd, env: { PATH: process.env["PATH"] ?? "", ...env }, stdio: ["ignore", "pipe", "pipe"] })
  const output = { stdout: "", stderr: "" }
  child.stdout.on("data", (chunk) => (output.stdout += String(chunk)))
  child.stderr.on("data", (chunk) => (output.stderr += String(chunk)))
  const ended = new Promise<number | string>((resolve) => child.on("close", (code, signal) => resolve(code ?? signal ?? "unknown")))
  onTestFinished(() => void child.kill("SIGKILL"))
  return { child, output, ended }
}

/** Waits for a condition, at most 30 s. */
export async function until(condition: () => boolean | Promise<boolean>, what: () => string): Promise<void> {
  const limit = performance.now() + 30_000
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error(`waited too long: ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
