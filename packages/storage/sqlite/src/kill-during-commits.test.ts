import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "vitest"
import { createSqliteStorage } from "./index.ts"

const writer = `
  import { createSqliteStorage } from ${JSON.stringify(new URL("./index.ts", import.meta.url).href)}
  const storage = createSqliteStorage({ path: process.argv[1] })
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

it("kill -9 in the middle of commits loses nothing that was acknowledged", { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-sqlite-"))
  const path = join(folder, "registry.sqlite")
  const acknowledged: string[] = []
  for (let kill = 0; kill < 5; kill++) {
    const child = spawn(process.execPath, ["--input-type=module", "-e", writer, path], { stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    let errors = ""
    child.stderr.on("data", (chunk) => (errors += String(chunk)))
    await new Promise<void>((resolve, reject) => {
      child.stdout.on("data", (chunk) => {
        output += String(chunk)
        if (output.split("\n").length > 50 + kill * 137) child.kill("SIGKILL")
      })
      child.on("close", (_code, signal) => (signal === "SIGKILL" ? resolve() : reject(new Error(errors))))
    })
    acknowledged.push(...output.split("\n").slice(0, -1))
    const storage = createSqliteStorage({ path })
    const state = await storage.open()
    await storage.close()
    const found = new Set(state.records.map((stored) => stored.record.id))
    expect(acknowledged.filter((id) => !found.has(id))).toEqual([])
    expect(state.problems).toEqual([])
    // Whole batches only: the counter says exactly how many puts were ever applied.
    expect(state.revision).toBe(state.records.length)
  }
  expect(acknowledged.length).toBeGreaterThan(500)
  rmSync(folder, { recursive: true })
})
