// Runs a script of this repository with everything it needs: dependencies as the lock file says, an up-to-date build and
// the pinned Node. Plain JavaScript, because it has to run on whatever Node a new machine has (20 or newer).
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"

const root = join(import.meta.dirname, "..")
const stampFile = join(root, "node_modules/.meshwork-install")
const [script, ...args] = process.argv.slice(2)
if (script === undefined) fail("usage: with-runtime.mjs SCRIPT [ARGUMENT…]")

install()
const node = runtime()
const environment = { ...process.env, PATH: [join(node, ".."), join(root, "node_modules/.bin"), process.env.PATH].join(delimiter) }
build()
run()

function fail(message) {
  process.stderr.write(`meshwork: ${message}\n`)
  process.exit(1)
}

function say(message) {
  if (process.stderr.isTTY || script.endsWith("start.mjs")) process.stderr.write(`meshwork: ${message}\n`)
}

function pinnedNode() {
  return join(root, `node_modules/node-${process.platform}-${process.arch}/bin/node`)
}

function pinnedNodeExpected() {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  return `node-${process.platform}-${process.arch}` in manifest.optionalDependencies
}

function install() {
  const lock = readFileSync(join(root, "pnpm-lock.yaml"))
  const stamp = `${createHash("sha256").update(lock).digest("hex")} ${process.platform}-${process.arch}\n`
  const fresh = existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp
  if (fresh && (!pinnedNodeExpected() || existsSync(pinnedNode()))) return
  say("installing dependencies (a minute at most, only when they changed)")
  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  const local = join(root, "node_modules/pnpm/bin/pnpm.cjs")
  const [command, first] = existsSync(local) ? [process.execPath, [local]] : ["npx", ["-y", packageManager]]
  const flags = ["install", "--frozen-lockfile", "--reporter=append-only"]
  const result = spawnSync(command, [...first, ...flags], { cwd: root, encoding: "utf8", env: { ...process.env, CI: "true" } })
  if (result.error) fail(`${command} could not be started: ${result.error.message}`)
  if (result.status !== 0) fail(`installing the dependencies failed:\n${result.stdout}${result.stderr}`)
  writeFileSync(stampFile, stamp)
}

function runtime() {
  if (process.env.MESHWORK_RUNTIME) return process.env.MESHWORK_RUNTIME
  if (existsSync(pinnedNode())) return pinnedNode()
  const [major, minor] = process.versions.node.split(".").map(Number)
  if (major > 22 || (major === 22 && minor >= 19)) return process.execPath
  return fail(`Node 22.19 or newer is needed on ${process.platform}-${process.arch}, and this is ${process.versions.node}`)
}

function build() {
  const compiler = join(root, "node_modules/typescript/bin/tsc")
  if (!existsSync(join(root, "apps/cli/dist/main.js"))) say("building")
  const result = spawnSync(node, [compiler, "-b"], { cwd: root, encoding: "utf8", env: environment })
  if (result.status !== 0) fail(`the build failed:\n${result.stdout}${result.stderr}`)
}

function run() {
  const child = spawn(node, [script, ...args], { stdio: "inherit", cwd: root, env: environment })
  // Ctrl-C reaches the whole terminal group and npm may repeat it, so the child sees one kind of signal, possibly twice.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill("SIGTERM"))
  const parent = process.ppid
  const watch = setInterval(() => process.ppid !== parent && child.kill("SIGTERM"), 500)
  child.on("error", (error) => fail(`${node} could not be started: ${error.message}`))
  child.on("exit", (code, signal) => {
    clearInterval(watch)
    process.exitCode = code ?? (signal === "SIGTERM" ? 0 : 1)
  })
}
