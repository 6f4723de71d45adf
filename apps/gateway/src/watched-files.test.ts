import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Clock, systemClock } from "@meshwork/contract"
import { ManualClock } from "@meshwork/contract/testing"
import { expect, it, onTestFinished } from "vitest"
import { watchFiles } from "./watched-files.ts"

const watched = (...names: string[]) => watchedBy(systemClock, ...names)

function watchedBy(clock: Clock, ...names: string[]) {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-watch-"))
  const path = (name: string): string => join(folder, name)
  for (const name of names) writeFileSync(path(name), "one")
  let changes = 0
  const watch = watchFiles({ paths: () => names.map(path), clock, onChange: () => void changes++ })
  onTestFinished(async () => {
    await watch.close()
    rmSync(folder, { recursive: true })
  })
  return { path, watch, changes: () => changes }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

it("tells of a file that is written to, replaced, removed and made again, once each", async () => {
  const { path, changes } = watched("a")
  await pause(400)
  expect(changes()).toBe(0)
  writeFileSync(path("a"), "two")
  await expect.poll(changes).toBe(1)
  writeFileSync(path("new"), "two")
  renameSync(path("new"), path("a"))
  await expect.poll(changes).toBe(2)
  rmSync(path("a"))
  await expect.poll(changes).toBe(3)
  writeFileSync(path("a"), "two")
  await expect.poll(changes).toBe(4)
  await pause(700)
  expect(changes()).toBe(4)
})

it("waits until nobody writes any more, and tells of files that change together once", async () => {
  const clock = new ManualClock()
  const { path, changes } = watchedBy(clock, "cert", "key")
  const look = async (): Promise<void> => {
    await expect.poll(() => clock.pendingTimers, { interval: 2 }).toBe(1)
    await clock.advance(250)
    await expect.poll(() => clock.pendingTimers, { interval: 2 }).toBe(1)
  }
  for (let turn = 0; turn < 20; turn++) {
    await look()
    writeFileSync(path(turn % 2 === 0 ? "cert" : "key"), "text".repeat(turn + 2))
  }
  await look()
  expect(changes()).toBe(0)
  await look()
  expect(changes()).toBe(1)
  for (let turn = 0; turn < 3; turn++) await look()
  expect(changes()).toBe(1)
})

it("follows links, and says nothing once it is closed", async () => {
  const { path, watch, changes } = watched("link")
  await pause(300)
  writeFileSync(path("target"), "two")
  rmSync(path("link"))
  symlinkSync("target", path("link"))
  await expect.poll(changes).toBe(1)
  writeFileSync(path("target"), "three")
  await expect.poll(changes).toBe(2)
  await watch.close()
  writeFileSync(path("target"), "four")
  await pause(700)
  expect(changes()).toBe(2)
})
