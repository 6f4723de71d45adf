import { mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import { type Clock, instanceSchema, type ServiceSnapshot, type Timer } from "@meshwork/contract"

const writeEveryMs = 5000
const maxFileBytes = 256 * 1024 * 1024

export interface SnapshotFileOptions {
  path: string
  /** What is known now. */
  snapshots: () => readonly ServiceSnapshot[]
  clock: Clock
  log: (level: "warn", message: string) => void
}

/** Keeps the last known instances in a file, for the time between a restart and the first answer of a discovery server. */
export interface SnapshotFile {
  /** Writes once more when something changed. Idempotent. */
  close(): Promise<void>
}

/** Reads what was known before; nothing when the file is absent or unreadable, which is said once. */
export async function readSnapshotFile(path: string, log: SnapshotFileOptions["log"]): Promise<ServiceSnapshot[]> {
  try {
    const text = await readFile(path, "utf8")
    if (text.length > maxFileBytes) throw new Error("it is too large")
    const content = JSON.parse(text) as { services?: unknown }
    if (!Array.isArray(content.services)) throw new Error("it holds no services")
    return content.services.flatMap((entry: unknown) => readService(entry))
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") log("warn", `the instances remembered in ${path} cannot be used: ${String(error)}`)
    return []
  }
}

function readService(entry: unknown): ServiceSnapshot[] {
  if (typeof entry !== "object" || entry === null) return []
  const { service, at, instances } = entry as { service?: unknown; at?: unknown; instances?: unknown }
  if (typeof service !== "string" || typeof at !== "number" || !Array.isArray(instances)) return []
  const known = instances.map((instance: unknown) => instanceSchema.safeParse(instance)).flatMap((parsed) => (parsed.success ? [parsed.data] : []))
  return known.length === 0 ? [] : [{ service, at, instances: known.filter((instance) => instance.service === service), stale: true }]
}

/** Writes the file within 5 s of a change, beside it first and then renamed over it. A failure is said once and tried again. */
export function keepSnapshotFile(options: SnapshotFileOptions): SnapshotFile {
  const { path, snapshots, clock, log } = options
  let written = fingerprint(snapshots())
  let failing = false
  let closed = false
  let timer: Timer
  let writing: Promise<void> = Promise.resolve()

  async function write(): Promise<void> {
    const known = snapshots()
    const mark = fingerprint(known)
    if (mark === written) return
    try {
      await mkdir(dirname(path), { recursive: true })
      const beside = `${path}.${process.pid}.tmp`
      await writeFile(beside, JSON.stringify({ format: 1, services: known }))
      await rename(beside, path)
      written = mark
      failing = false
    } catch (error) {
      if (!failing) log("warn", `the known instances cannot be remembered in ${path}: ${String(error)}`)
      failing = true
    }
  }

  function schedule(): void {
    timer = clock
      .timer(writeEveryMs, () => {
        writing = write().then(() => {
          if (!closed) schedule()
        })
      })
      .unref()
  }

  schedule()
  return {
    async close() {
      if (closed) return writing
      closed = true
      timer.cancel()
      writing = writing.then(write)
      return writing
    },
  }
}

/** A service's `at` moves with every change of it. */
function fingerprint(snapshots: readonly ServiceSnapshot[]): string {
  return snapshots.map(({ service, at, instances }) => `${service} ${at} ${instances.length}`).join("\n")
}
