import { spawn } from "node:child_process"
import { once } from "node:events"
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as realPause } from "node:timers/promises"
import { ManualClock } from "@meshwork/contract/testing"
import { afterEach, beforeEach, expect, it, onTestFinished } from "vitest"
import { createFileStorage } from "./index.ts"
import { ownMark } from "./process-mark.ts"

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-file-"))
  path = join(folder, "registry.log")
})
afterEach(() => rmSync(folder, { recursive: true }))

const program = `
  const { createFileStorage } = await import(${JSON.stringify(new URL("./index.ts", import.meta.url).href)})
  // Kept, as a server does: Node 26 ends a process whose open file nobody refers to any more.
  const storage = (globalThis.storage = createFileStorage({ path: process.argv[1] }))
  await storage.open().then(() => console.log("opened"), (error) => console.log(error.code, error.message))
  setInterval(() => {}, 1000)
`
const words = ["--input-type=module", "-e", program]

function opener() {
  const child = spawn(process.execPath, [...words, path], { stdio: ["ignore", "pipe", "inherit"] })
  onTestFinished(() => void child.kill("SIGKILL"))
  const said = once(child.stdout, "data").then(([chunk]) => String(chunk).trim())
  const kill = async () => {
    const ended = once(child, "exit")
    child.kill("SIGKILL")
    await ended
  }
  return { pid: child.pid, said, kill }
}

async function opens(clock?: ManualClock): Promise<void> {
  const storage = createFileStorage({ path, ...(clock ? { clock } : {}) })
  await storage.open()
  await storage.close()
}

it("a second opening in this process is refused, and works once the first is closed", async () => {
  const first = createFileStorage({ path })
  await first.open()
  await expect(opens()).rejects.toMatchObject({
    code: "storage_unavailable",
    message: `${path} is used by process ${process.pid}; one file belongs to one discovery server`,
  })
  await first.close()
  await opens()
  expect(readdirSync(folder)).toEqual(["registry.log"])
})

it("a process that runs is named, also when it is reached by another name; one that was killed is taken over from at once", async () => {
  const { said, pid, kill } = opener()
  expect(await said).toBe("opened")
  await expect(opens()).rejects.toMatchObject({ message: expect.stringContaining(`used by process ${pid};`) })
  const { symlinkSync } = await import("node:fs")
  const other = join(folder, "other-name")
  symlinkSync(path, other)
  await expect(createFileStorage({ path: other }).open()).rejects.toMatchObject({ message: expect.stringContaining(`used by process ${pid};`) })
  await kill()
  await opens()
  expect(readdirSync(folder).sort()).toEqual(["other-name", "registry.log"])
})

it("another process with the number of one that is gone does not hold the lock", async () => {
  const mark = await ownMark()
  expect(mark.started).toMatch(/^\S+/)
  writeFileSync(`${path}.lock`, JSON.stringify({ id: "x", ...mark, started: "1" }))
  await opens()
})

it("of many that come at once to a lock whose holder is gone, one gets it", { timeout: 180_000 }, async () => {
  for (let round = 0; round < 3; round++) {
    const mark = await ownMark()
    writeFileSync(`${path}.lock`, JSON.stringify({ id: "x", ...mark, started: "1" }))
    // Somebody died while taking over.
    if (round === 1) writeFileSync(`${path}.lock.gone-x`, JSON.stringify({ id: "y", ...mark, started: "1" }))
    const openers = Array.from({ length: 6 }, opener)
    const said = await Promise.all(openers.map((each) => each.said))
    expect([said.filter((text) => text === "opened").length, said.filter((text) => text.startsWith("storage_unavailable")).length]).toEqual([1, 5])
    await Promise.all(openers.map((each) => each.kill()))
  }
  await opens()
  expect(readdirSync(folder)).toEqual(["registry.log"])
})

async function waitsFor(clock: ManualClock, work: Promise<void>): Promise<number> {
  let done = false
  let waited = 0
  const outcome = work.finally(() => (done = true))
  outcome.catch(() => {})
  while (!done) {
    await realPause(2)
    await clock.advance(250)
    waited += 250
  }
  await outcome
  return waited
}

it.each([
  ["in another container", { realm: "another" }],
  ["on another machine", { host: "another" }],
])("a holder %s is watched: one that writes keeps the file, a silent one loses it", async (_title, change) => {
  await opens()
  const text = readFileSync(path)
  const mark = await ownMark()
  const clock = new ManualClock()
  writeFileSync(`${path}.lock`, JSON.stringify({ id: "x", ...mark, ...change }))
  let writes = true
  const write = (): void => {
    if (!writes) return
    appendFileSync(path, "more")
    clock.timer(1000, write)
  }
  clock.timer(1000, write)
  await expect(waitsFor(clock, opens(clock))).rejects.toMatchObject({
    code: "storage_unavailable",
    message: expect.stringContaining("another container"),
  })
  writes = false
  writeFileSync(path, text)
  expect(await waitsFor(clock, opens(clock))).toBeGreaterThanOrEqual(8000)
  expect(existsSync(`${path}.lock`)).toBe(false)
})

it("a lock that is none is named", async () => {
  writeFileSync(`${path}.lock`, "what is this")
  await expect(opens()).rejects.toMatchObject({ code: "invalid_config", message: expect.stringContaining(`${path}.lock is not a lock`) })
  expect(readdirSync(folder)).toEqual(["registry.log.lock"])
})
