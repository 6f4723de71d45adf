import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Worker } from "node:worker_threads"
import { sampleRecord } from "@meshwork/registry-core/testing"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { createSqliteStorage } from "./index.ts"

let folder: string
let path: string
const posted = vi.spyOn(Worker.prototype, "postMessage")

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-sqlite-"))
  path = join(folder, "registry.sqlite")
})
afterEach(() => rmSync(folder, { recursive: true }))

const cause = { by: "test", why: "", at: 1 }
const put = (id: string) => ({ op: "put", record: sampleRecord("a", id), ifVersion: null, cause }) as const
/** Ends the thread that was asked last, as a crash would. */
const kill = () => (posted.mock.contexts.at(-1) as Worker | undefined)?.terminate()

it("is started again by the next commit, and nothing that was acknowledged is lost", async () => {
  const storage = createSqliteStorage({ path })
  await storage.open()
  const acknowledged: string[] = []
  let refused = 0
  for (let turn = 0, kills = 0; kills < 3 || acknowledged.at(-1) !== `i${turn - 1}`; turn++) {
    const committing = storage.commit([put(`i${turn}`)])
    if (turn % 100 === 50 && kills < 3) {
      kills++
      void kill()
    }
    await committing.then(
      ([result]) => expect(result?.ok && acknowledged.push(`i${turn}`)).toBeTruthy(),
      (error: unknown) => {
        refused++
        expect(error).toMatchObject({ code: "storage_unavailable", message: expect.stringMatching(/^the thread of .*registry\.sqlite/) })
        return new Promise((resolve) => setTimeout(resolve, 50))
      },
    )
  }
  expect([refused > 0, acknowledged.length > 200]).toEqual([true, true])
  await storage.close()
  const again = createSqliteStorage({ path })
  const { records } = await again.open()
  await again.close()
  const stored = new Set(records.map(({ record }) => record.id))
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([])
})

it("takes nothing when the file was put back to an earlier state meanwhile, and says what to do", async () => {
  const storage = createSqliteStorage({ path })
  await storage.open()
  await storage.close()
  copyFileSync(path, `${path}.early`)
  const later = createSqliteStorage({ path })
  await later.open()
  await later.commit([put("1")])
  await kill()
  for (const name of [path, `${path}-wal`]) rmSync(name, { force: true })
  copyFileSync(`${path}.early`, path)
  await expect(later.commit([put("2")])).rejects.toMatchObject({
    code: "storage_unavailable",
    message: expect.stringMatching(/is not what it was.*start this server again/),
  })
  await later.close()
})

it("can be closed after its thread has ended", async () => {
  const storage = createSqliteStorage({ path })
  await storage.open()
  void kill()
  await storage.close()
  await expect(storage.commit([put("1")])).rejects.toMatchObject({ code: "storage_unavailable", message: expect.stringMatching(/is closed/) })
})

it("makes a new file whole: nothing but the registry is left, and an empty file is never taken for a new one", async () => {
  const storage = createSqliteStorage({ path })
  await storage.open()
  expect(readdirSync(folder).sort()).toEqual(["registry.sqlite", "registry.sqlite-wal"])
  await storage.close()
  expect(readdirSync(folder)).toEqual(["registry.sqlite"])
  writeFileSync(path, "")
  await expect(createSqliteStorage({ path }).open()).rejects.toMatchObject({
    code: "invalid_config",
    message: expect.stringMatching(/registry\.sqlite is empty.*move it away/),
  })
  rmSync(path)
  const other = new DatabaseSync(path)
  other.exec("CREATE TABLE shopping (item TEXT)")
  other.close()
  await expect(createSqliteStorage({ path }).open()).rejects.toMatchObject({
    code: "invalid_config",
    message: expect.stringMatching(/is not the database of a registry/),
  })
})
