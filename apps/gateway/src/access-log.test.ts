import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { systemClock } from "@meshwork/contract"
import type { AccessEntry } from "@meshwork/gateway"
import { expect, it, onTestFinished } from "vitest"
import { openAccessLog } from "./access-log.ts"

const entry: AccessEntry = {
  method: "GET",
  host: "a",
  path: "/",
  status: 200,
  ms: 1.5,
  route: "/",
  service: "a",
  instance: "127.0.0.1:1",
  attempts: 1,
  client: "127.0.0.1",
}

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-access-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

const lines = (file: string): { status?: number }[] =>
  readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { status?: number })

it("makes the folder, writes a line for each request within a moment, and the last ones when it closes", async () => {
  const file = join(scratch(), "logs", "today", "access.jsonl")
  const log = await openAccessLog(file, { clock: systemClock, log: () => {} })
  log.write(entry)
  await expect.poll(() => lines(file)).toEqual([{ level: 30, time: expect.stringMatching(/^\d{4}-.*Z$/), name: "access", ...entry }])
  for (let status = 1; status <= 1000; status++) log.write({ ...entry, status })
  await log.close()
  expect(lines(file).map(({ status }) => status)).toEqual([200, ...Array.from({ length: 1000 }, (_, index) => index + 1)])
  expect(log.lost).toBe(0)
  await log.close()
})

it("continues a file, and begins another one after it was moved away", async () => {
  const file = join(scratch(), "access.jsonl")
  for (const status of [1, 2]) {
    const log = await openAccessLog(file, { clock: systemClock, log: () => {} })
    log.write({ ...entry, status })
    await log.close()
  }
  const log = await openAccessLog(file, { clock: systemClock, log: () => {} })
  renameSync(file, `${file}.1`)
  log.reopen()
  await expect.poll(() => lines(file)).toEqual([])
  log.write({ ...entry, status: 3 })
  await log.close()
  expect([lines(`${file}.1`), lines(file)].map((all) => all.map(({ status }) => status))).toEqual([[1, 2], [3]])
})

it.each(["", "/proc/nowhere/access.jsonl"])("names a file that cannot be opened: %s", async (file) => {
  await expect(openAccessLog(file === "" ? scratch() : file, { clock: systemClock, log: () => {} })).rejects.toThrow(
    /^gateway\.accessLog: .* cannot be opened \(E[A-Z]+\)$/,
  )
})

it("says once that the disk is full, and goes on", async () => {
  const told: string[] = []
  const log = await openAccessLog("/dev/full", { clock: systemClock, log: (_level, message) => void told.push(message) })
  for (let turn = 0; turn < 500; turn++) log.write(entry)
  await expect.poll(() => told).toEqual([expect.stringContaining("cannot be written (ENOSPC)")])
  for (let turn = 0; turn < 500; turn++) log.write(entry)
  await log.close()
  expect(told).toHaveLength(1)
})
