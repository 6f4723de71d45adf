import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { sampleRecord } from "@meshwork/registry-core/testing"
import { expect, it, onTestFinished } from "vitest"
import { createFileStorage } from "./index.ts"

/** Replaces ten records for ever, so that the file is compacted all the time, and prints what was acknowledged. */
const program = `
  const { createFileStorage } = await import(${JSON.stringify(new URL("./index.ts", import.meta.url).href)})
  const storage = createFileStorage({ path: process.argv[1], garbageBytes: 0 })
  const { records } = await storage.open()
  const versions = new Map(records.map(({ record, version }) => [record.id, version]))
  const cause = { by: "test", why: "", at: 1 }
  const sample = ${JSON.stringify(sampleRecord("a", "1"))}
  for (;;) {
    await Promise.all(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"].map(async (id) => {
      const [result] = await storage.commit([{ op: "put", record: { ...sample, id }, ifVersion: versions.get(id) ?? null, cause }])
      if (!result.ok) throw new Error("conflict")
      versions.set(id, result.version)
      process.stdout.write(id + " " + result.version + "\\n")
    }))
  }
`

function writeUntilKilled(path: string, lines: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, path], { stdio: ["ignore", "pipe", "inherit"] })
  let output = ""
  child.stdout.on("data", (chunk) => {
    output += String(chunk)
    if (output.split("\n").length > lines) child.kill("SIGKILL")
  })
  return new Promise((resolve, reject) => {
    child.on("close", (_code, signal) => {
      if (signal !== "SIGKILL") return reject(new Error("the writer ended by itself"))
      const said = output.split("\n").slice(0, -1)
      resolve(new Map(said.map((line) => [line.split(" ")[0] ?? "", Number(line.split(" ")[1])])))
    })
  })
}

it("kill -9 in the middle of compactions loses nothing that was acknowledged", { timeout: 180_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-file-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, "registry.log")
  for (let kill = 0; kill < 8; kill++) {
    const acknowledged = await writeUntilKilled(path, 300 + kill * 173)
    const storage = createFileStorage({ path })
    const { records, problems, revision } = await storage.open()
    await storage.close()
    const found = new Map(records.map((stored) => [stored.record.id, stored.revision]))
    const lost = [...acknowledged].filter(([id, version]) => (found.get(id) ?? 0) < version)
    expect([problems, lost, found.size, Math.max(...found.values())]).toEqual([[], [], 10, revision])
  }
})
