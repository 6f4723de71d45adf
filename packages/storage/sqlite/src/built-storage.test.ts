import { execFile, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { sampleRecord } from "@meshwork/registry-core/testing"
import { expect, it, onTestFinished } from "vitest"

const source = new URL("./index.ts", import.meta.url)
const built = new URL("../dist/index.js", import.meta.url)
const record = JSON.stringify(sampleRecord("a", "1"))

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-sqlite-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return join(folder, "r.sqlite")
}

const program = (module: URL, rest: string) => `
  const { createSqliteStorage } = await import(${JSON.stringify(module.href)})
  const storage = createSqliteStorage({ path: process.argv[1] })
  const put = (id) => ({ op: "put", record: { ...${record}, id }, ifVersion: null, cause: { by: "test", why: "", at: 1 } })
  await storage.open()
  ${rest}
`

it.skipIf(!existsSync(built)).each([
  ["built", built],
  ["from source", source],
])("works %s, and keeps no process alive that forgot to close it", async (_title, module) => {
  const script = program(module, `console.log(JSON.stringify(await storage.commit([put("1")])))`)
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, file()], {
    timeout: 20_000,
  })
  expect([JSON.parse(stdout), stderr]).toEqual([[{ ok: true, version: "1", revision: 1 }], ""])
})

const tooLarge = spawnSync("bash", ["-c", "ulimit -f 400"]).status === 0

it.skipIf(!tooLarge)("a write the disk does not take is refused, and later ones that fit are taken", async () => {
  const script = program(
    source,
    `
    const results = []
    const big = (id) => { const op = put(id); op.record.invented = "x".repeat(900_000); return op }
    for (const op of [put("1"), big("2"), put("3")]) {
      await storage.commit([op]).then(([result]) => results.push(result.ok), (error) => results.push(error.code))
    }
    await storage.close()
    console.log(JSON.stringify(results))`,
  )
  // A limit on the size of files is the disk that anyone can fill.
  const limited = `ulimit -f 400; exec "$0" --input-type=module -e "$1" "$2"`
  const { stdout } = await promisify(execFile)("bash", ["-c", limited, process.execPath, script, file()])
  expect(JSON.parse(stdout)).toEqual([true, "storage_unavailable", true])
})
