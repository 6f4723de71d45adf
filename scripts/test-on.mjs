// `npm run test:on -- 22`: the unit and integration tests on another Node, which comes from npm as the pinned one does.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { run } from "./steps.mjs"

const [version, ...args] = process.argv.slice(2)
if (!/^\d+(\.\d+){0,2}$/.test(version ?? "")) fail("usage: npm run test:on -- NODE-VERSION [ARGUMENT OF VITEST…]")

const node = fetchNode()
process.stdout.write(`tests on Node ${spawnSync(node, ["--version"], { encoding: "utf8" }).stdout}`)
process.exitCode = await run([node, "node_modules/vitest/vitest.mjs", "run", ...args])

function fetchNode() {
  const folder = join(import.meta.dirname, "../node_modules/.cache", `node-${version}`)
  const binary = join(folder, "node_modules/runtime/bin/node")
  if (existsSync(binary)) return binary
  mkdirSync(folder, { recursive: true })
  const runtime = `npm:node-${process.platform}-${process.arch}@${version}`
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies: { runtime } }))
  const { status, stderr, error } = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: folder, encoding: "utf8" })
  if (status !== 0) fail(`Node ${version} for ${process.platform}-${process.arch} could not be fetched: ${error?.message ?? stderr}`)
  return binary
}

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(2)
}
