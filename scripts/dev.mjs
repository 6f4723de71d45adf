// `pnpm dev`: the mesh of `npm start`, built again and restarted whenever a source changes.
import { spawn, spawnSync } from "node:child_process"
import { watch } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
let mesh = launch()
let pending
let restarting = Promise.resolve()

for (const folder of ["packages", "apps", "examples"]) {
  watch(join(root, folder), { recursive: true }, (_event, file) => {
    if (file === null || /(^|\/)(node_modules|dist|\.turbo)(\/|$)|\.test\.ts$/.test(file) || !/\.(ts|yaml)$/.test(file)) return
    clearTimeout(pending)
    pending = setTimeout(() => {
      restarting = restarting.then(() => rebuild(file))
    }, 200)
  })
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => mesh.kill("SIGTERM"))

function launch() {
  const child = spawn(process.execPath, [join(root, "scripts/start.mjs"), ...process.argv.slice(2)], { stdio: "inherit", detached: true })
  child.on("exit", (code) => {
    if (child === mesh) process.exit(code ?? 0)
  })
  return child
}

async function rebuild(file) {
  process.stderr.write(`meshwork: ${file} changed, building\n`)
  if (spawnSync("tsc", ["-b"], { cwd: root, stdio: "inherit" }).status !== 0) {
    process.stderr.write("meshwork: the build failed, what ran goes on\n")
    return
  }
  const old = mesh
  mesh = undefined
  const ended = new Promise((resolve) => old.on("exit", resolve))
  old.kill("SIGTERM")
  await ended
  mesh = launch()
}
