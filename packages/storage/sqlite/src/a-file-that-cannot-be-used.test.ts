import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { sampleRecord } from "@meshwork/registry-core/testing"
import { afterEach, beforeEach, expect, it } from "vitest"
import { createSqliteStorage } from "./index.ts"

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-sqlite-"))
  path = join(folder, "registry.sqlite")
})
afterEach(() => rmSync(folder, { recursive: true }))

async function filled(): Promise<void> {
  const storage = createSqliteStorage({ path })
  await storage.open()
  const cause = { by: "test", why: "", at: 1 }
  await storage.commit(["1", "2", "3"].map((id) => ({ op: "put" as const, record: sampleRecord("a", id), ifVersion: null, cause })))
  await storage.close()
}

it("a second opening says that the file is used, and works once the first is closed", async () => {
  const first = createSqliteStorage({ path })
  await first.open()
  await expect(createSqliteStorage({ path }).open()).rejects.toMatchObject({
    code: "storage_unavailable",
    message: expect.stringMatching(/registry\.sqlite is used by another process/),
  })
  await first.close()
  const second = createSqliteStorage({ path })
  await second.open()
  await second.close()
})

it("tables of a newer version are refused and left alone", async () => {
  await filled()
  const database = new DatabaseSync(path)
  database.exec("PRAGMA user_version=99")
  database.close()
  await expect(createSqliteStorage({ path }).open()).rejects.toMatchObject({
    code: "invalid_config",
    message: expect.stringMatching(/newer version of Meshwork.*99/),
  })
})

it.each([
  [
    "a text file",
    () => writeFileSync(path, "this is no database, and it is long enough to be read as a header of one".repeat(20)),
    /is not a SQLite database/,
  ],
  ["a folder", () => mkdirSync(path), /cannot be opened/],
  ["a folder that is a file", () => writeFileSync(join(folder, "registry.sqlite"), ""), /^/],
])("%s is refused by name", async (title, prepare, message) => {
  prepare()
  const target = title === "a folder that is a file" ? join(path, "deeper.sqlite") : path
  await expect(createSqliteStorage({ path: target }).open()).rejects.toMatchObject({ message: expect.stringMatching(message) })
  await expect(createSqliteStorage({ path: target }).open()).rejects.toMatchObject({ message: expect.stringContaining(target) })
})

it("a corrupt record is reported and left in place, the others are served", async () => {
  await filled()
  const database = new DatabaseSync(path)
  database.exec(`UPDATE records SET record = '{"host":' WHERE id = '2'`)
  database.exec(`UPDATE records SET record = '{"host":"a"}' WHERE id = '3'`)
  database.close()
  for (let opening = 0; opening < 2; opening++) {
    const storage = createSqliteStorage({ path })
    const state = await storage.open()
    expect(state.records.map((stored) => stored.record.id)).toEqual(["1"])
    expect(state.problems.map((problem) => problem.key)).toEqual(["a/2", "a/3"])
    await storage.close()
  }
})

it("a registration over a corrupt record heals it", async () => {
  await filled()
  const database = new DatabaseSync(path)
  database.exec(`UPDATE records SET record = 'x' WHERE id = '2'`)
  database.close()
  const storage = createSqliteStorage({ path })
  const { revision } = await storage.open()
  const cause = { by: "test", why: "", at: 1 }
  const [result] = await storage.commit([{ op: "put", record: sampleRecord("a", "2", { port: 9009 }), ifVersion: null, cause }])
  expect(result).toEqual({ ok: true, version: String(revision + 1), revision: revision + 1 })
  await storage.close()
  const again = createSqliteStorage({ path })
  const state = await again.open()
  await again.close()
  expect(state.problems).toEqual([])
  expect(state.records.map((stored) => [stored.record.id, stored.record.port])).toContainEqual(["2", 9009])
})

it("a folder that cannot be made is an error at once", async () => {
  await expect(createSqliteStorage({ path: "/proc/nope/deeper/registry.sqlite" }).open()).rejects.toMatchObject({
    message: expect.stringContaining("/proc/nope"),
  })
})
