import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { expect, it } from "vitest"

it("the example of the README runs", async () => {
  const folder = fileURLToPath(new URL("..", import.meta.url))
  const example = /```ts\n([\s\S]*?)```/.exec(readFileSync(`${folder}/README.md`, "utf8"))?.[1] ?? ""
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", example], { cwd: folder, timeout: 50_000 })
  expect(stdout).toContain("draining, asked for by an operator")
})
