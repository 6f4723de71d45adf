// `npm run soak [SECONDS]`: a gateway under steady load while instances come and go; fails when a request fails or memory keeps growing.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { sendRequests } from "./support/load.mjs"
import { freePort, residentMegabytes, startProgram } from "./support/processes.mjs"

const root = join(import.meta.dirname, "..")
const seconds = Number(process.argv[2] ?? 60)
if (!(seconds > 0 && seconds <= 86_400)) {
  process.stderr.write("usage: npm run soak -- [SECONDS, at most 86400]\n")
  process.exit(2)
}
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
  for (const backend of backends) await register(backend)
  const gateway = await startProgram([cli, "gateway", "-c", file], port, 0)
  running.push(gateway)
  const limit = performance.now() + seconds * 1000
  const memory = []
  let requests = 0
  let failures = 0
  for (let round = 0; performance.now() < limit; round++) {
    const leaving = backends[round % backends.length]
    const churn = drain(leaving).then(() => register(leaving))
    const result = await sendRequests({ port, path: `/item/${round}`, total: 5000, connections: 32 })
    await churn
    requests += 5000
    failures += result.failures
    memory.push(residentMegabytes(gateway.pid))
  }
  const half = memory.slice(Math.floor(memory.length / 2))
  const growth = half.at(-1) - half[0]
  process.stdout.write(
    `${requests} requests, ${failures} failed; memory ${memory[0].toFixed(0)} -> ${memory.at(-1).toFixed(0)} MB, ${growth.toFixed(0)} MB in the second half\n`,
  )
  return failures === 0 && growth < 40 ? 0 : 1
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

function register(backend) {
  return call("PUT", `/v1/services/backend/instances/b${backend}`, { host: "127.0.0.1", port: backend, ttlSeconds: 0 })
}

async function drain(backend) {
  await call("PATCH", `/v1/services/backend/instances/b${backend}`, { state: "draining" })
  await new Promise((resolve) => setTimeout(resolve, 300))
  await call("DELETE", `/v1/services/backend/instances/b${backend}`)
}
