#!/usr/bin/env node
// Plain JavaScript, so that a Node that is too old, or a checkout that is not built, gets a sentence instead of a stack trace.
import { existsSync } from "node:fs"

// Before anything takes a thread: half of them may resolve names, and those that nobody answers for take theirs for seconds.
process.env.UV_THREADPOOL_SIZE ??= "16"

const [major, minor] = process.versions.node.split(".").map(Number)
const entry = new URL("../dist/main.js", import.meta.url)
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`meshwork needs Node 22.19 or newer, this is ${process.versions.node}\n`)
  process.exitCode = 1
} else if (!existsSync(entry)) {
  process.stderr.write("meshwork is not built yet: run `npm run build` at the root of the checkout\n")
  process.exitCode = 1
} else {
  const { main } = await import(entry.href)
  await main()
}
