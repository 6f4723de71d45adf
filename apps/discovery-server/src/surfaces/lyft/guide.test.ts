import { execFile, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { startServer } from "../../testing/server-bench.ts"

const page = readFileSync(join(import.meta.dirname, "../../../../../docs/guides/migrating-from-lyft-discovery.md"), "utf8")
const session = /<!-- test: calls -->\n```sh\n(.*?)```/s.exec(page)?.[1] ?? ""
const hasCurl = spawnSync("curl", ["--version"]).status === 0

it.skipIf(!hasCurl)("the calls of the guide answer what it says, with the real curl (skipped where curl is missing)", async () => {
  const { url } = await startServer()
  const calls = session.split(/^\$ /m).slice(1)
  expect(calls).toHaveLength(7)
  for (const call of calls) {
    const [command = "", ...expected] = call.trimEnd().split("\n")
    const printed = await shell(command.replaceAll("localhost:8008", new URL(url).host))
    expect(printed.trimEnd().replace(/"last_check_in":"\d[^"]+"/, '"last_check_in":"…"'), command).toBe(expected.join("\n"))
  }
})

function shell(command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile("sh", ["-c", command], (error, stdout) => (error ? reject(error) : resolve(stdout)))
  })
}
