import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { sampleRecord } from "@meshwork/registry-core/testing"
import { afterEach, beforeEach, expect, it } from "vitest"
import { createFileStorage } from "./index.ts"

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-file-"))
  path = join(folder, "registry.log")
})
afterEach(() => rmSync(folder, { recursive: true }))

const cause = { by: "test", why: "", at: 1 }
const put = (id: string, changes = {}, ifVersion: string | null = null) =>
  ({ op: "put", record: sampleRecord("a", id, changes), ifVersion, cause }) as const

async function filled(): Promise<void> {
  const storage = createFileStorage({ path })
  await storage.open()
  await storage.commit(["1", "2", "3"].map((id) => put(id)))
  await storage.close()
}

async function reopened() {
  const notices: string[] = []
  const storage = createFileStorage({ path, notice: (message) => notices.push(message) })
  const state = await storage.open()
  const ids = state.records.map(({ record }) => `${record.id}:${record.port}`).sort()
  return { storage, state, ids, notices }
}

/** Replaces text of the file without moving anything. */
function spoil(from: string | RegExp, to: string): void {
  const text = readFileSync(path, "latin1")
  const spoilt = text.replace(from, to)
  expect([spoilt.length, spoilt === text]).toEqual([text.length, false])
  writeFileSync(path, spoilt, "latin1")
}

it("a damaged record is reported and left in place at every opening, the others are served", async () => {
  await filled()
  spoil(/(?<="id":"2".{40})../, "##")
  for (let opening = 0; opening < 2; opening++) {
    const { storage, state, ids } = await reopened()
    expect(ids).toEqual(["1:9000", "3:9000"])
    expect(state.problems).toEqual([{ key: "a/2", message: expect.stringMatching(/line 4 of .*registry\.log, at byte \d+, is damaged/) }])
    await storage.commit([])
    await storage.close()
  }
})

it("what was stored before a damaged change is served, and the counter passes the damaged one", async () => {
  await filled()
  const { storage } = await reopened()
  await storage.commit([put("2", { port: 9001 }, "2")])
  await storage.close()
  spoil('"port":9001', '"port":9Z01')
  const { storage: again, state, ids } = await reopened()
  expect(ids).toEqual(["1:9000", "2:9000", "3:9000"])
  expect([state.problems[0]?.message, state.revision]).toEqual([expect.stringContaining("what was stored before is served"), 4])
  expect(await again.commit([put("4")])).toMatchObject([{ ok: true, version: "5" }])
  await again.close()
})

it("a registration over a damaged record heals it", async () => {
  await filled()
  spoil(/(?<="id":"2".{40})../, "##")
  const { storage } = await reopened()
  expect(await storage.commit([put("2", { port: 9009 })])).toMatchObject([{ ok: true }])
  await storage.close()
  const { storage: again, state, ids } = await reopened()
  await again.close()
  expect([ids, state.problems]).toEqual([["1:9000", "2:9009", "3:9000"], []])
})

it("a damaged line feed costs no record", async () => {
  await filled()
  spoil(/(?<="id":"2".*)\n/, "#")
  const { storage, state, ids } = await reopened()
  expect([ids, state.problems]).toEqual([["1:9000", "2:9000", "3:9000"], []])
  expect(await storage.commit([put("2")])).toMatchObject([{ ok: false, why: "conflict", current: { record: { id: "2" } } }])
  await storage.close()
})

it("a damage whose instance cannot be told is reported by its place", async () => {
  await filled()
  spoil('"key":["a","2"]', '"kex":["a","2"]')
  const { storage, state, ids } = await reopened()
  await storage.close()
  expect([ids, state.problems.map(({ key }) => key)]).toEqual([["1:9000", "3:9000"], [expect.stringMatching(/^byte \d+$/)]])
})

it("a whole line with a record that is none is a problem too", async () => {
  await filled()
  const { encodeLine } = await import("./log-line.ts")
  appendFileSync(path, encodeLine({ put: 4, key: ["a", "3"], cause, record: JSON.parse('{"host":"a"}') }))
  appendFileSync(path, encodeLine({ put: 5, key: ["a", "4"], cause, record: sampleRecord("a", "5") }))
  const { storage, state, ids } = await reopened()
  await storage.close()
  expect([ids, state.problems.map(({ key }) => key)]).toEqual([
    ["1:9000", "2:9000"],
    ["a/3", "a/4"],
  ])
})

it.each([1, 30, 200])("an end torn by %d bytes is cut off, said, and written over", async (bytes) => {
  await filled()
  const { encodeLine } = await import("./log-line.ts")
  const line = encodeLine({ put: 4, key: ["a", "4"], cause, record: sampleRecord("a", "4") })
  appendFileSync(path, line.subarray(0, line.length - bytes))
  const { storage, state, ids, notices } = await reopened()
  expect([ids, state.problems, state.revision]).toEqual([["1:9000", "2:9000", "3:9000"], [], 3])
  expect(notices).toEqual([expect.stringMatching(/bytes of .* were cut off: an unfinished line/)])
  expect(await storage.commit([put("4", { port: 9004 })])).toMatchObject([{ ok: true, version: "4" }])
  await storage.close()
  const again = await reopened()
  await again.storage.close()
  expect([again.ids, again.state.problems, again.notices]).toEqual([["1:9000", "2:9000", "3:9000", "4:9004"], [], []])
})

it("a file damaged in any one byte loses at most the record that was hit, and says so", { timeout: 180_000 }, async () => {
  await filled()
  const whole = readFileSync(path)
  const second = whole.indexOf(10, whole.indexOf(10) + 1) + 1
  for (let place = second; place < whole.length; place += 7) {
    const spoilt = Buffer.from(whole)
    spoilt.writeUInt8(spoilt.readUInt8(place) ^ 0x15, place)
    writeFileSync(path, spoilt)
    const { storage, state, ids } = await reopened()
    await storage.close()
    expect([place, ids.length >= 2, ids.length + state.problems.length >= 3]).toEqual([place, true, true])
  }
})

it.each([
  ["emptied", "", /is empty, and no file of a registry ever is/],
  ["of something else", "services:\n  a: b\n", /is not a file of a Meshwork registry/],
  ["without a line end", "x".repeat(3 << 20), /is not a file of a Meshwork registry/],
  ["cut off after its first line", "meshwork registry log, format 1\n", /it was cut off/],
  ["damaged in its second line", 'meshwork registry log, format 1\n00000000 {"epoch":"x"}\n', /damaged in its second line/],
  ["of a newer version", "meshwork registry log, format 2\nwhatever\n", /newer version of Meshwork \(format 2, this one knows 1\)/],
])("a file %s is refused and left as it is", async (_title, text, message) => {
  writeFileSync(path, text)
  const { mtimeMs } = statSync(path)
  await expect(createFileStorage({ path }).open()).rejects.toMatchObject({ code: "invalid_config", message: expect.stringMatching(message) })
  expect([readFileSync(path, "utf8") === text, statSync(path).mtimeMs]).toEqual([true, mtimeMs])
})
