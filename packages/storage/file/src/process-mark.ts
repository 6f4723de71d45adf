import { execFile } from "node:child_process"
import { readFile, readlink } from "node:fs/promises"
import { hostname } from "node:os"
import { promisify } from "node:util"

/** What tells one process from every other, of which there may be one with the same number later or in another container. */
export interface ProcessMark {
  pid: number
  /** When the process began, in the words of its system; empty where it does not say. */
  started: string
  host: string
  /** This start of the machine, and the container; processes of another cannot be looked up. */
  realm: string
}

/** The mark of this process. */
export async function ownMark(): Promise<ProcessMark> {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "")
  const namespace = await readlink("/proc/self/ns/pid").catch(() => "")
  return { pid: process.pid, started: await startOf(process.pid), host: hostname(), realm: `${boot.trim()} ${namespace}`.trim() }
}

/** Whether that process runs; undefined when it cannot be told from here. */
export async function isRunning(mark: ProcessMark, own: ProcessMark): Promise<boolean | undefined> {
  if (mark.realm !== own.realm || mark.host !== own.host) return undefined
  try {
    process.kill(mark.pid, 0)
  } catch (error) {
    // EPERM: it runs as somebody else.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false
  }
  const started = await startOf(mark.pid)
  return started === "" || mark.started === "" || started === mark.started
}

async function startOf(pid: number): Promise<string> {
  try {
    const line = await readFile(`/proc/${pid}/stat`, "latin1")
    // The name of the program, in brackets, may hold anything; the start is the 22nd field, the state the 3rd.
    const fields = line.slice(line.lastIndexOf(")") + 2).split(" ")
    return fields[0] === "Z" || fields[0] === "X" ? "ended" : (fields[19] ?? "")
  } catch {
    const { stdout } = await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)]).catch(() => ({ stdout: "" }))
    return stdout.trim()
  }
}
