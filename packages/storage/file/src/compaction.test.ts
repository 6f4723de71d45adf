import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { seededRandom, ManualClock } from "@meshwork/contract/testing"
import type { StorageOp } from "@meshwork/registry-core"
import { sampleRecord } from "@meshwork/registry-core/testing"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { createFileStorage } from "./index.ts"

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "meshwork-file-"))
  path = join(folder, "registry.log")
})
afterEach(() => rmSync(folder, { recursive: true }))

const cause = { by: "test", why: "because", at: 1 }
const held = (records: { record: { id: string; port: number }; version: string; renewedAt?: number }[]) =>
  records.map(({ record, version, renewedAt }) => `${record.id}:${record.port} ${version} ${renewedAt}`).sort()

it("commits go on while it is compacted, and everything is there afterwards", async () => {
  const random = seededRandom(1)
  const storage = createFileStorage({ path, garbageBytes: 20_000 })
  await storage.open()
  const known = new Map<string, { port: number; version: string; renewedAt?: number }>()
  let compactions = 0
  let largest = 0
  let before = statSync(path).size
  for (let round = 0; round < 300; round++) {
    const ids = Array.from({ length: 1 + Math.floor(random() * 20) }, () => `i${Math.floor(random() * 40)}`)
    const ops = [...new Set(ids)].map((id): StorageOp => {
      const current = known.get(id)
      const choice = random()
      if (current && choice < 0.2) return { op: "delete", key: { service: "a", id }, ifVersion: current.version, cause }
      if (current && choice < 0.4) return { op: "touch", key: { service: "a", id }, renewedAt: round }
      return { op: "put", record: sampleRecord("a", id, { port: 1 + round }), ifVersion: current?.version ?? null, cause }
    })
    const results = await Promise.all(ops.map((op) => storage.commit([op]).then(([result]) => result)))
    for (const [index, op] of ops.entries()) {
      const result = results[index]
      if (!result?.ok) throw new Error(`op ${index} of round ${round} was refused`)
      const id = op.op === "put" ? op.record.id : op.key.id
      const renewedAt = known.get(id)?.renewedAt
      if (op.op === "delete") known.delete(id)
      else if (op.op === "touch") known.set(id, { port: 0, ...known.get(id), version: result.version, renewedAt: op.renewedAt })
      else known.set(id, { port: op.record.port, version: result.version, ...(renewedAt === undefined ? {} : { renewedAt }) })
    }
    const { size } = statSync(path)
    if (size < before) compactions++
    before = size
    largest = Math.max(largest, size)
  }
  await storage.close()
  expect(compactions).toBeGreaterThan(3)
  expect(largest).toBeLessThan(150_000)
  const again = createFileStorage({ path })
  const state = await again.open()
  expect([state.problems, held(state.records)]).toEqual([
    [],
    [...known].map(([id, { port, version, renewedAt }]) => `${id}:${port} ${version} ${renewedAt}`).sort(),
  ])
  // Places in the new file are right: every record is read from where it stands.
  for (const { record, version } of state.records) {
    expect(await again.commit([{ op: "put", record, ifVersion: null, cause }])).toMatchObject([{ ok: false, current: { version, record } }])
  }
  await again.close()
  expect(existsSync(`${path}.new`)).toBe(false)
})

async function churned(clock: ManualClock, storage: ReturnType<typeof createFileStorage>, revision: number): Promise<number> {
  let current = revision
  const key = { service: "a", id: "busy" }
  const put = (ifVersion: string | null) => storage.commit([{ op: "put" as const, record: sampleRecord("a", "busy"), ifVersion, cause }])
  await put(null)
  current++
  for (let round = 0; round < 40; round++) {
    expect(await put(String(current))).toMatchObject([{ ok: true }])
    current++
  }
  await storage.commit([{ op: "delete", key, ifVersion: String(current), cause: { ...cause, at: clock.now() } }])
  return current + 1
}

it("keeps what cannot be read and who deleted what for 10 minutes, and forgets the rest", async () => {
  const clock = new ManualClock()
  const first = createFileStorage({ path, clock })
  await first.open()
  await first.commit([{ op: "put", record: sampleRecord("a", "1"), ifVersion: null, cause }])
  await first.commit([{ op: "put", record: sampleRecord("a", "2"), ifVersion: null, cause }])
  await first.close()
  writeFileSync(path, readFileSync(path, "latin1").replace('"id":"2"', '"id":"#"'), "latin1")
  const storage = createFileStorage({ path, clock, garbageBytes: 2000 })
  expect((await storage.open()).problems).toMatchObject([{ key: "a/2" }])
  const lines = (pattern: RegExp) => readFileSync(path, "utf8").match(pattern)?.length ?? 0
  const compacted = () =>
    vi.waitFor(async () => {
      await storage.commit([])
      expect(lines(/"put"/g)).toBeLessThan(15)
    })
  let revision = await churned(clock, storage, 2)
  await compacted()
  expect([lines(/"id":"#"/g), lines(/"delete"/g)]).toEqual([1, 1])
  await clock.advance(600_001)
  revision = await churned(clock, storage, revision)
  await compacted()
  expect([lines(/"id":"#"/g), lines(/"delete"/g)]).toEqual([1, 1])
  await storage.close()
  const again = createFileStorage({ path, clock })
  expect(await again.open()).toMatchObject({ revision: revision + 1, records: [{ record: { id: "1" } }], problems: [{ key: "a/2" }] })
  await again.close()
})

it("a compaction that fails is said and leaves everything as it is", async () => {
  const clock = new ManualClock()
  const notices: string[] = []
  const storage = createFileStorage({ path, clock, garbageBytes: 5000, notice: (message) => notices.push(message) })
  await storage.open()
  mkdirSync(`${path}.new`)
  const revision = await churned(clock, storage, 0)
  const before = statSync(path).size
  await vi.waitFor(() => expect(notices).toEqual([expect.stringMatching(/was not compacted, it goes on as it is: .*it is a folder/)]))
  rmSync(`${path}.new`, { recursive: true })
  expect(await storage.commit([{ op: "put", record: sampleRecord("a", "1"), ifVersion: null, cause }])).toMatchObject([{ ok: true }])
  expect(statSync(path).size).toBeGreaterThan(before)
  await clock.advance(60_001)
  await vi.waitFor(async () => {
    await storage.commit([])
    expect(statSync(path).size).toBeLessThan(before)
  })
  await storage.close()
  const again = createFileStorage({ path, clock })
  expect(await again.open()).toMatchObject({ revision: revision + 1, records: [{ record: { id: "1" } }], problems: [] })
  await again.close()
})

it("renewals and signs of life within a second share one write", async () => {
  const clock = new ManualClock()
  const storage = createFileStorage({ path, clock })
  await storage.open()
  await storage.commit([{ op: "put", record: sampleRecord("a", "1"), ifVersion: null, cause }])
  const { size } = statSync(path)
  for (let renewedAt = 1; renewedAt < 100; renewedAt++) await storage.commit([{ op: "touch", key: { service: "a", id: "1" }, renewedAt }])
  await storage.commit([])
  expect(statSync(path).size).toBe(size)
  await clock.advance(1000)
  await storage.commit([{ op: "touch", key: { service: "a", id: "1" }, renewedAt: 100 }])
  const grown = statSync(path).size
  expect([grown > size, grown < size + 100]).toEqual([true, true])
  await storage.commit([{ op: "touch", key: { service: "a", id: "1" }, renewedAt: 101 }])
  await storage.close()
  const again = createFileStorage({ path, clock })
  expect((await again.open()).records).toMatchObject([{ renewedAt: 101 }])
  await again.close()
})
