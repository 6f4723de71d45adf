// `npm run soak -- [SECONDS] [--requests N]`: a gateway under steady load while instances come and go; fails when a request fails, or when memory,
// sockets, timers or series of metrics keep growing.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { sendRequests } from "./support/load.mjs"
import { freePort, startProgram } from "./support/processes.mjs"

const root = join(import.meta.dirname, "..")
const perRound = 5000
const longestSeconds = 86_400
const { seconds, most } = chosen()
/** What must not grow, and by how much it may differ between the middle and the end. */
const kinds = [
  { name: "memory", unit: "MB", slack: 40, read: (metrics) => gauge(metrics, "process_resident_memory_bytes") / 2 ** 20 },
  { name: "open files and sockets", unit: "", slack: 40, read: (metrics) => gauge(metrics, "process_open_fds") },
  { name: "timers", unit: "", slack: 40, read: (metrics) => gauge(metrics, 'nodejs_active_resources{type="Timeout"}') },
  { name: "series of metrics", unit: "", slack: 10, read: (metrics) => metrics.split("\n").filter((line) => /^[a-z]/.test(line)).length },
]
const cli = join(root, "apps/cli/bin/meshwork.js")
const folder = mkdtempSync(join(tmpdir(), "meshwork-soak-"))
const running = []
const [discovery, port, adminPort] = [await freePort(), await freePort(), await freePort()]
const server = `http://127.0.0.1:${discovery}`

try {
  process.exitCode = await soak()
} finally {
  for (const program of running.toReversed()) await program.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function soak() {
  const file = join(folder, "meshwork.yaml")
  writeFileSync(
    file,
    `discovery: { port: ${discovery}, storage: memory }\ngateway: { port: ${port}, adminPort: ${adminPort}, discovery: ["${server}"] }\nroutes: [{ pathPrefix: /, service: backend }]\n`,
  )
  running.push(await startProgram([cli, "discovery", "-c", file], discovery, 1))
  const backends = await Promise.all([0, 1, 2, 3].map(startBackend))
  for (const backend of backends) await register(backend, `b${backend}`)
  running.push(await startProgram([cli, "gateway", "-c", file], port, 0))
  const ids = new Map(backends.map((backend) => [backend, `b${backend}`]))
  const begin = performance.now()
  const samples = []
  let requests = 0
  let failures = 0
  for (let round = 0; requests < most && performance.now() < begin + seconds * 1000; round++) {
    const leaving = backends[round % backends.length]
    // Another process comes each time, so whatever is kept for each instance would grow.
    const churn = drain(ids.get(leaving)).then(() => register(leaving, ids.set(leaving, `b${leaving}-${round}`).get(leaving)))
    const result = await sendRequests({ port, path: `/item/${round}?caller=${round}`, total: perRound, connections: 32 })
    await churn
    requests += perRound
    failures += result.failures
    samples.push(await sample())
  }
  const took = (performance.now() - begin) / 1000
  process.stdout.write(`${requests} requests in ${took.toFixed(0)} s, ${failures} failed, ${samples.length} instances came and went\n`)
  return [failures === 0, ...kinds.map((kind) => tell(kind, samples))].every(Boolean) ? 0 : 1
}

async function sample() {
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
  return new Map(kinds.map((kind) => [kind, kind.read(metrics)]))
}

function gauge(metrics, name) {
  const line = metrics.split("\n").find((each) => each.startsWith(`${name} `))
  return line === undefined ? 0 : Number(line.slice(name.length + 1))
}

/** Compares the highest of the second and of the last quarter. */
function tell(kind, samples) {
  const values = samples.map((each) => each.get(kind))
  const highest = (from, to) => Math.max(...values.slice(Math.floor(values.length * from), Math.max(1, Math.ceil(values.length * to))))
  const growth = highest(0.75, 1) - highest(0.25, 0.5)
  const text = (value) => `${value.toFixed(0)}${kind.unit && ` ${kind.unit}`}`
  process.stdout.write(
    `${kind.name}: ${text(values[0])} at first, ${text(values.at(-1))} at last, at most ${text(Math.max(...values))}, grew by ${text(growth)}\n`,
  )
  return growth <= kind.slack
}

function chosen() {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { requests: { type: "string" } } })
  const limit = Number(positionals[0] ?? (values.requests === undefined ? 60 : longestSeconds))
  const count = Number(values.requests ?? Number.POSITIVE_INFINITY)
  if (limit > 0 && limit <= longestSeconds && count > 0) return { seconds: limit, most: count }
  process.stderr.write(`usage: npm run soak -- [SECONDS, at most ${longestSeconds}] [--requests N]\n`)
  return process.exit(2)
}

async function startBackend() {
  const backend = await freePort()
  running.push(await startProgram([join(root, "bench/programs/backend.mjs")], backend, 1, { PORT: String(backend) }))
  return backend
}

async function call(method, path, body) {
  const response = await fetch(`${server}${path}`, {
    method,
    headers: { "content-type": "application/json" },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`)
  await response.arrayBuffer()
}

function register(backend, id) {
  return call("PUT", `/v1/services/backend/instances/${id}`, { host: "127.0.0.1", port: backend, ttlSeconds: 0 })
}

async function drain(id) {
  await call("PATCH", `/v1/services/backend/instances/${id}`, { state: "draining" })
  await new Promise((resolve) => setTimeout(resolve, 300))
  await call("DELETE", `/v1/services/backend/instances/${id}`)
}
