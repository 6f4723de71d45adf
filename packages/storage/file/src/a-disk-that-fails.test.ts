import { execFile, spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { sampleRecord } from "@meshwork/registry-core/testing"
import { afterEach, beforeEach, expect, it } from "vitest"
import { createFileStorage } from "./index.ts"

let folder: string
let path: string
const cleanUp: (() => void)[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-file-"))
  path = join(folder, "registry.log")
})
afterEach(() => {
  for (const step of cleanUp.splice(0).toReversed()) step()
  rmSync(folder, { recursive: true })
})

const cause = { by: "test", why: "", at: 1 }
const put = (id: string, changes = {}) => ({ op: "put", record: sampleRecord("a", id, changes), ifVersion: null, cause }) as const
const big = (id: string) => put(id, { invented: "x".repeat(150_000) })

async function ids(): Promise<string[]> {
  const storage = createFileStorage({ path })
  const { records, problems } = await storage.open()
  await storage.close()
  expect(problems).toEqual([])
  return records.map(({ record }) => record.id).sort()
}

const mounts = (() => {
  const trial = mkdtempSync(join(tmpdir(), "meshwork-try-"))
  const possible = process.getuid?.() === 0 && spawnSync("mount", ["-t", "tmpfs", "tmpfs", trial]).status === 0
  if (possible) spawnSync("umount", [trial])
  rmSync(trial, { recursive: true })
  return possible
})()
const mount = (...words: string[]) => expect(spawnSync("mount", words, { encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" })

function smallDisk(): void {
  mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", folder)
  cleanUp.push(() => spawnSync("umount", [folder]))
}

it.skipIf(!mounts)("a full disk refuses changes and loses none; with room again it takes them", async () => {
  smallDisk()
  const storage = createFileStorage({ path })
  await storage.open()
  const taken: string[] = []
  const refused: string[] = []
  for (let number = 10; number < 20; number++) {
    await storage.commit([big(String(number))]).then(
      () => taken.push(String(number)),
      (error: Error) => refused.push(error.message),
    )
  }
  expect([taken.length, refused[0]]).toEqual([6, `${path} cannot be written: the disk is full`])
  // Nothing of what was refused stands in the file, so that small changes still find room.
  expect(await storage.commit([put("small")])).toMatchObject([{ ok: true }])
  const filler = join(folder, "filler")
  writeFileSync(filler, "x".repeat((1 << 20) - statSync(path).size - 8192))
  await expect(storage.commit([big("99")])).rejects.toMatchObject({ code: "storage_unavailable" })
  rmSync(filler)
  expect(await storage.commit([put("later")])).toMatchObject([{ ok: true }])
  await storage.close()
  expect(await ids()).toEqual([...taken, "later", "small"])
})

it.skipIf(!mounts)("a read-only file system is said, and used again when it is writable", async () => {
  smallDisk()
  const storage = createFileStorage({ path })
  await storage.open()
  await storage.commit([put("1")])
  await storage.close()
  mount("-o", "remount,ro", folder)
  await expect(createFileStorage({ path }).open()).rejects.toMatchObject({
    code: "storage_unavailable",
    message: `${path} cannot be written: the file system is read-only`,
  })
  mount("-o", "remount,rw", folder)
  expect(await ids()).toEqual(["1"])
})

const limits = spawnSync("bash", ["-c", "ulimit -f 400"]).status === 0

it.skipIf(!limits)("a write that the system takes half of is cut off again", async () => {
  const script = `
    const { createFileStorage } = await import(${JSON.stringify(new URL("./index.ts", import.meta.url).href)})
    const storage = createFileStorage({ path: process.argv[1] })
    const record = ${JSON.stringify(sampleRecord("a", "1"))}
    const put = (id, size) => ({ op: "put", record: { ...record, id, invented: "x".repeat(size) }, ifVersion: null, cause: { by: "", why: "", at: 1 } })
    await storage.open()
    const results = []
    for (const [id, size] of [["1", 9], ["2", 300_000], ["3", 300_000], ["4", 9], ["2", 9]]) {
      await storage.commit([put(id, size)]).then(([result]) => results.push(result.ok), (error) => results.push(error.message.replace(/.* cannot/, "cannot")))
    }
    console.log(JSON.stringify(results))
    process.kill(process.pid, "SIGKILL")`
  const limited = `ulimit -f 400; exec "$0" --input-type=module -e "$1" "$2"`
  const killed = promisify(execFile)("bash", ["-c", limited, process.execPath, script, path])
  const { stdout, signal } = await killed.then(
    () => ({ stdout: "null", signal: null }),
    (error: { stdout: string; signal: string }) => error,
  )
  const tooLarge = "cannot be written: it has reached the largest size allowed for a file"
  expect([JSON.parse(stdout), signal]).toEqual([[true, true, tooLarge, true, false], "SIGKILL"])
  expect(await ids()).toEqual(["1", "2", "4"])
})

it("a file and a folder that this user may not write are refused by name", async () => {
  await createFileStorage({ path }).close()
  await ids()
  const asNobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
  const script = `
    const { createFileStorage } = await import(${JSON.stringify(new URL("./index.ts", import.meta.url).href)})
    const storage = createFileStorage({ path: process.argv[1] })
    await storage.open().then(() => storage.close(), (error) => console.log(error.code, error.message))`
  const attempt = async () => (await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, path], asNobody)).stdout
  const refusal = `invalid_config ${path} cannot be used: this user may not read and write it and its folder\n`
  chmodSync(path, 0o444)
  chmodSync(folder, 0o777)
  expect(await attempt()).toBe(refusal)
  chmodSync(path, 0o666)
  chmodSync(folder, 0o555)
  expect(await attempt()).toBe(refusal)
  chmodSync(folder, 0o777)
  expect(await attempt()).toBe("")
})

it("a folder, and a path below a file, are refused by name", async () => {
  mkdirSync(path)
  await expect(createFileStorage({ path }).open()).rejects.toMatchObject({
    code: "invalid_config",
    message: `${path} cannot be used: it is a folder`,
  })
  writeFileSync(join(folder, "file"), "")
  const below = join(folder, "file", "registry.log")
  await expect(createFileStorage({ path: below }).open()).rejects.toMatchObject({ message: expect.stringContaining(`${below} cannot be used`) })
  await expect(createFileStorage({ path: "/proc/nope/deeper/registry.log" }).open()).rejects.toMatchObject({
    message: expect.stringContaining("/proc/nope"),
  })
})

it("nothing is written to a file that was moved, replaced or written by somebody else", async () => {
  const storage = createFileStorage({ path })
  await storage.open()
  await storage.commit([put("1")])
  renameSync(path, `${path}.away`)
  await expect(storage.commit([put("2")])).rejects.toMatchObject({
    code: "storage_unavailable",
    message: expect.stringContaining("was moved or removed"),
  })
  writeFileSync(path, readFileSync(`${path}.away`))
  await expect(storage.commit([put("2")])).rejects.toMatchObject({ message: expect.stringContaining("was changed by another process") })
  renameSync(`${path}.away`, path)
  expect(await storage.commit([put("2")])).toMatchObject([{ ok: true }])
  writeFileSync(path, "more\n", { flag: "a" })
  await expect(storage.commit([put("3")])).rejects.toMatchObject({ message: expect.stringContaining("was changed by another process") })
  await storage.close()
})
