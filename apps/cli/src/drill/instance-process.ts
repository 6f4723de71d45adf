import { type ChildProcess, spawn } from "node:child_process"
import { MeshError } from "@meshwork/contract"

const keptOutput = 4000

/** One instance of a service, as a process. */
export interface InstanceProcess {
  readonly pid: number
  /** What ended it, once it has: an exit code or a signal. */
  readonly ended: Promise<number | string>
  /** The end of what it printed. */
  said(): string
  kill(signal: NodeJS.Signals): void
}

/** Starts a command; its output is kept, not shown. Rejects with `invalid_config` when it cannot be started. */
export function startInstance(command: readonly string[]): Promise<InstanceProcess> {
  const [program = "", ...args] = command
  const child: ChildProcess = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] })
  let said = ""
  const keep = (chunk: unknown): void => void (said = (said + String(chunk)).slice(-keptOutput))
  child.stdout?.on("data", keep)
  child.stderr?.on("data", keep)
  return new Promise((resolve, reject) => {
    const ended = new Promise<number | string>((end) => child.on("close", (code, signal) => end(code ?? signal ?? "unknown")))
    child.once("error", (error: NodeJS.ErrnoException) => {
      reject(new MeshError("invalid_config", `${program} cannot be started: ${error.code ?? error.message}`))
    })
    child.once("spawn", () => {
      resolve({ pid: child.pid ?? 0, ended, said: () => said, kill: (signal) => void child.kill(signal) })
    })
  })
}
