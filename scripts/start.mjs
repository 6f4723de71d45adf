// `npm start`: discovery and gateway in one process on the embedded storage, with the example shop behind them.
import { spawn } from "node:child_process"
import { join } from "node:path"
import { parseArgs } from "node:util"

const root = join(import.meta.dirname, "..")
const usage = `npm start -- [--port 8080] [--admin-port 8009] [--discovery-port 8008]\n`
const services = ["payment", "payment", "orders", "orders"]
const children = new Set()
let stopping

const ports = readOptions()
const environment = {
  ...process.env,
  MESHWORK_GATEWAY_PORT: ports.port,
  MESHWORK_ADMIN_PORT: ports["admin-port"],
  MESHWORK_DISCOVERY_PORT: ports["discovery-port"],
  MESHWORK_SERVER: `http://127.0.0.1:${ports["discovery-port"]}`,
}
const gateway = `http://127.0.0.1:${ports.port}`
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => void stop(0))
await main()

function readOptions() {
  const options = {
    port: { type: "string", default: process.env.MESHWORK_GATEWAY_PORT ?? "8080" },
    "admin-port": { type: "string", default: process.env.MESHWORK_ADMIN_PORT ?? "8009" },
    "discovery-port": { type: "string", default: process.env.MESHWORK_DISCOVERY_PORT ?? "8008" },
  }
  try {
    const { values } = parseArgs({ options })
    for (const [name, value] of Object.entries(values)) {
      if (!/^\d{1,5}$/.test(value) || Number(value) < 1 || Number(value) > 65_535)
        throw new Error(`--${name} takes a port from 1 to 65535, found "${value}"`)
    }
    return values
  } catch (error) {
    process.stderr.write(`${error.message}\nusage: ${usage}`)
    return process.exit(2)
  }
}

function launch(title, args, onExit) {
  // A group of its own: Ctrl-C then reaches this script alone, which stops the services before the mesh they use.
  const preload = join(root, "scripts/end-with-parent.mjs")
  const child = spawn(process.execPath, ["--import", preload, ...args], {
    cwd: root,
    env: environment,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  })
  const log = []
  const keep = (chunk) => {
    log.push(String(chunk))
    if (log.length > 200) log.shift()
  }
  child.stdout.on("data", keep)
  child.stderr.on("data", keep)
  const ended = new Promise((resolve) => child.on("exit", (code, signal) => resolve(signal ?? code)))
  const entry = { title, child, ended, output: () => log.join("").trim() }
  children.add(entry)
  void ended.then((how) => {
    children.delete(entry)
    if (!stopping) onExit(entry, how)
  })
  return entry
}

async function main() {
  step("starting discovery and gateway")
  launch("mesh", ["apps/cli/bin/meshwork.js", "up", "-c", "examples/shop/meshwork.yaml"], (entry) => {
    process.stderr.write(`${entry.output()}\n${hintFor(entry.output())}`)
    void stop(1)
  })
  if (!(await answers(`${environment.MESHWORK_SERVER}/ready`))) return
  step("starting two payment and two orders instances")
  const shop = services.map((name) => launch(name, [`examples/shop/dist/${name}.js`], noteExit))
  if (!(await answers(`${gateway}/api/orders/7`))) return
  report(shop)
}

function noteExit({ title, child, output }, how) {
  const said = output().split("\n").slice(-3).join("\n")
  process.stdout.write(`${title} (pid ${child.pid}) ended: ${how}. Another one: ${another(title)}\n${how === "SIGKILL" ? "" : `${said}\n`}`)
}

function another(service) {
  const port = ports["discovery-port"]
  return `npm run shop -- ${service}${port === "8008" ? "" : ` --discovery-port ${port}`}`
}

function step(text) {
  process.stderr.write(`meshwork: ${text}\n`)
}

function hintFor(output) {
  if (/used by another process/.test(output))
    return "another npm start runs in this directory; stop it, or keep this registry apart: MESHWORK_STORAGE=memory npm start\n"
  const taken = Object.entries(ports).find(([, port]) => new RegExp(`\\b${port}\\b`).test(output) && /taken|in use|EADDRINUSE/i.test(output))
  return taken ? `port ${taken[1]} is taken; choose another one: npm start -- --${taken[0]} NUMBER\n` : ""
}

async function answers(url) {
  const limit = performance.now() + 30_000
  let last = "no answer"
  while (!stopping && performance.now() < limit) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(1000) })
      await response.arrayBuffer()
      if (response.ok) return true
      last = `status ${response.status}`
    } catch (error) {
      last = error.cause?.code ?? error.message
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  if (stopping) return false
  for (const entry of children) process.stderr.write(`--- ${entry.title}\n${entry.output()}\n`)
  process.stderr.write(`${url} did not answer within 30 s: ${last}\n`)
  await stop(1)
  return false
}

function report(shop) {
  const rows = shop.map(({ title, child, output }) => `  ${output().split("\n").at(-1) || title}  (pid ${child.pid})`)
  process.stdout.write(`
The mesh is running:
  gateway    ${gateway}
  admin      http://127.0.0.1:${ports["admin-port"]}   /routes /stats /ready
  discovery  ${environment.MESHWORK_SERVER}   registry in .meshwork/
${rows.join("\n")}

Try it:
  curl ${gateway}/api/orders/7
  curl ${environment.MESHWORK_SERVER}/v1/services

Kill an instance and call again; start another one with: ${another("payment")}
Ctrl-C stops everything.
`)
}

function stop(code) {
  stopping ??= (async () => {
    const mesh = [...children].filter((entry) => entry.title === "mesh")
    await end([...children].filter((entry) => entry.title !== "mesh"))
    await end(mesh)
    process.exit(code)
  })()
  return stopping
}

async function end(entries) {
  for (const { child } of entries) child.kill("SIGTERM")
  const patience = setTimeout(() => {
    for (const { child } of entries) child.kill("SIGKILL")
  }, 12_000)
  await Promise.all(entries.map((entry) => entry.ended))
  clearTimeout(patience)
}
