import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { expect, it, onTestFinished } from "vitest"

it("the example of the README runs", async () => {
  const packageFolder = fileURLToPath(new URL("..", import.meta.url))
  const folder = mkdtempSync(join(tmpdir(), "meshwork-sqlite-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const example = /```ts\n([\s\S]*?)```/.exec(readFileSync(`${packageFolder}/README.md`, "utf8"))?.[1] ?? ""
  const script = example.replace(".meshwork/", `${folder}/`)
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { cwd: packageFolder, timeout: 50_000 })
  expect(stdout).toBe("0 records, 0 problems\n")
})
