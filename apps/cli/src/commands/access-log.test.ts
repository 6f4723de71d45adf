import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { spawnMeshwork, until } from "../testing/spawn-meshwork.ts"

function configuration(accessLog: string): { folder: string; file: string } {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-access-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, "meshwork.yaml")
  writeFileSync(
    file,
    `gateway: { discovery: [], accessLog: ${accessLog} }\nservices: { a: { instances: ["127.0.0.1:1"] } }\nroutes: [{ pathPrefix: /, service: a }]\n`,
  )
  return { folder, file }
}

it("a full disk keeps no gateway from ending", async () => {
  const { folder, file } = configuration("/dev/full")
  const { child, output, ended } = spawnMeshwork(["gateway", "-c", file, "--port", "0", "--admin-port", "0"], {}, folder)
  await until(
    () => output.stderr.includes("gateway listens"),
    () => output.stderr,
  )
  const url = /"url":"([^"]+)"/.exec(output.stderr)?.[1] ?? ""
  expect((await fetch(url)).status).toBe(502)
  await until(
    () => output.stderr.includes("cannot be written (ENOSPC)"),
    () => output.stderr,
  )
  child.kill("SIGTERM")
  expect(await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 8000, "still there"))])).toBe(0)
})
