import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { expect, it } from "vitest"

it("the example of the README runs", async () => {
  const packageFolder = fileURLToPath(new URL("..", import.meta.url))
  const example = /```ts\n([\s\S]*?)```/.exec(readFileSync(`${packageFolder}/README.md`, "utf8"))?.[1] ?? ""
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", example], { cwd: packageFolder, timeout: 50_000 })
  expect(stdout).toBe("dynamodb: discovery-hosts at http://127.0.0.1:8000\n")
})
