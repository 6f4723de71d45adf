import { spawn } from "node:child_process"
import type { RegistryStorage } from "../storage-port.ts"

/** How a process of its own makes a storage: `create` is the name of a function of `module` that takes `options`. */
export interface WriterModule {
  module: URL
  create: string
  options: unknown
}

/** What the data held after one kill. */
export interface KillFinding {
  /** Acknowledged, and lost. */
  missing: string[]
  problems: number
  found: number
  revision: number
}

const program = `
  const { module, create, options } = JSON.parse(process.argv[1])
  const storage = (await import(module))[create](options)
  const { revision } = await storage.open()
  const cause = { by: "test", why: "", at: 1 }
  const health = { status: "unknown", since: 1, reason: "", by: "" }
  for (let next = revision; ; next += 8) {
    const ids = Array.from({ length: 8 }, (_, index) => "id-" + (next + index))
    await Promise.all(ids.map(async (id) => {
      const record = { service: "a", id, host: "a", port: 1, scheme: "http", priority: "med", tags: {}, ttlSeconds: 30, origin: "api", registeredAt: 1, health, format: 1 }
      const [result] = await storage.commit([{ op: "put", record, ifVersion: null, cause }])
      if (result.ok) process.stdout.write(id + "\\n")
    }))
  }
`

/**
 * Kills processes that commit without pause, each after another number of acknowledgements, and opens the data after each.
 * Resolves to the ids that were acknowledged, and after each kill those found, with the problems and the revision.
 */
export async function killDuringCommits(
  writer: WriterModule,
  storage: () => RegistryStorage,
  kills: number,
): Promise<{ acknowledged: string[]; findings: KillFinding[] }> {
  const acknowledged: string[] = []
  const findings: KillFinding[] = []
  for (let kill = 0; kill < kills; kill++) {
    acknowledged.push(...(await writeUntilKilled(writer, 50 + kill * 137)))
    const opened = storage()
    const state = await opened.open()
    await opened.close()
    const found = new Set(state.records.map((stored) => stored.record.id))
    findings.push({
      missing: acknowledged.filter((id) => !found.has(id)),
      problems: state.problems.length,
      found: found.size,
      revision: state.revision,
    })
  }
  return { acknowledged, findings }
}

function writeUntilKilled(writer: WriterModule, lines: number): Promise<string[]> {
  const argument = JSON.stringify({ ...writer, module: writer.module.href })
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, argument], { stdio: ["ignore", "pipe", "pipe"] })
  let output = ""
  let errors = ""
  child.stderr.on("data", (chunk) => (errors += String(chunk)))
  child.stdout.on("data", (chunk) => {
    output += String(chunk)
    if (output.split("\n").length > lines) child.kill("SIGKILL")
  })
  return new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (_code, signal) =>
      signal === "SIGKILL" ? resolve(output.split("\n").slice(0, -1)) : reject(new Error(`the writer ended by itself: ${errors}`)),
    )
  })
}
