import { closeSync, existsSync, mkdirSync, openSync } from "node:fs"
import { dirname } from "node:path"
import { type Clock, MeshError } from "@meshwork/contract"
import type { AccessEntry } from "@meshwork/gateway"
import pino from "pino"

const stdout = 1
/** Bytes that are written together, and how often what is less is written, ms. */
const minLength = 65_536
const flushMs = 250
/** Bytes that may wait for a slow reader; what exceeds them is lost, and counted. */
const maxLength = 8 * 1024 * 1024

const closeMs = 1000

export interface AccessLogOptions {
  clock: Clock
  log: (level: "warn", message: string) => void
}

/** Where requests are written down, one line of JSON each. */
export interface AccessLog {
  write(entry: AccessEntry): void
  /** Lines that were lost because nobody took them. */
  readonly lost: number
  /** Opens the file anew, after it was moved away. */
  reopen(): void
  /** Writes what is left. Idempotent. */
  close(): Promise<void>
}

/** Opens the access log: on stdout, or in a file that is made or continued. Rejects with `invalid_config` where the file cannot be opened. */
export async function openAccessLog(target: true | string, { clock, log }: AccessLogOptions): Promise<AccessLog> {
  const unusable = (error: NodeJS.ErrnoException): MeshError =>
    new MeshError("invalid_config", `gateway.accessLog: ${String(target)} cannot be opened (${error.code})`, { cause: error })
  try {
    if (target !== true) {
      makeFolder(dirname(target))
      // Tried here: what never got open throws at the end of the process.
      closeSync(openSync(target, "a"))
    }
  } catch (error) {
    throw unusable(error as NodeJS.ErrnoException)
  }
  const destination = pino.destination({
    dest: target === true ? stdout : target,
    sync: false,
    // Of text it would measure all that waits at every line.
    contentMode: "buffer",
    minLength,
    maxWrite: 2 * minLength,
    maxLength,
    periodicFlush: flushMs,
  })
  if (target !== true) await new Promise((resolve) => destination.once("ready", resolve))
  let lost = 0
  let told = false
  destination.on("drop", () => lost++)
  destination.on("error", (error: NodeJS.ErrnoException) => {
    if (told) return
    told = true
    log("warn", `the access log cannot be written (${error.code}); requests are served without it`)
  })
  const begin = lineBeginning(clock)
  // Its types know text only.
  const put = destination.write.bind(destination) as unknown as (line: Buffer) => boolean
  let closing: Promise<void> | undefined
  return {
    get lost() {
      return lost
    },
    write: (entry) => void put(Buffer.from(`${begin()}${JSON.stringify(entry).slice(1)}\n`)),
    reopen: () => {
      if (target === true) return
      told = false
      destination.reopen()
    },
    close() {
      closing ??= new Promise((resolve) => {
        // A disk that is full, a reader that is stuck: the end of the process is worth more than the last lines.
        const patience = clock.timer(closeMs, () => {
          told = true
          // What still waits would be tried for ever at the end of the process.
          destination.destroy()
          resolve()
        })
        const done = (): void => {
          patience.cancel()
          resolve()
        }
        // stdout is not ours to close.
        if (target === true) return destination.flush(done)
        destination.once("close", done)
        destination.end()
      })
      return closing
    },
  }
}

/** What every line begins with, in the manner of pino's other logs: written here, since a logger would look at each member of each entry. */
function lineBeginning(clock: Clock): () => string {
  let at = Number.NaN
  let beginning = ""
  return () => {
    const now = clock.now()
    if (now === at) return beginning
    at = now
    return (beginning = `{"level":30,"time":"${new Date(now).toISOString()}","name":"access",`)
  }
}

/** What `mkdir -p` does. node:fs's own never comes back where a file system has no folders to be made, such as below /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  mkdirSync(path)
}
