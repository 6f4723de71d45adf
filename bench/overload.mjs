// The gateway under five times the load it can carry: what becomes of `high` requests among `low` ones, and how soon it is over.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { sendRequests } from "./support/load.mjs"
import { cpuMicros, freePort, startProgram } from "./support/processes.mjs"

const root = join(import.meta.dirname, "..")
const path = "/api/orders/7"
/** What the backend carries, requests/s: it answers after 50 ms, and the gateway lets 100 be under way. */
const capacity = 100 / 0.05
const seconds = 10

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-overload-"))
  const running = []
  try {
    const [backend, port, adminPort] = [await freePort(), await freePort(), await freePort()]
    running.push(await startProgram([join(root, "bench/programs/backend.mjs")], backend, 1, { PORT: String(backend), DELAY_MS: "50" }))
    const file = join(folder, "meshwork.yaml")
    writeFileSync(file, configuration(port, adminPort, backend))
    const gateway = await startProgram([join(root, "apps/cli/bin/meshwork.js"), "gateway", "-c", file], port, 0)
    running.push(gateway)
    await send({ port, priority: "high", rate: 200, total: 400 })
    tell("alone", await send({ port, priority: "high", rate: 200, total: 200 * 3 }))
    const before = cpuMicros(gateway.pid)
    const flood = send({ port, priority: "low", rate: capacity * 5, total: capacity * 5 * seconds, connections: 500 })
    await new Promise((resolve) => setTimeout(resolve, 3000))
    const high = await send({ port, priority: "high", rate: 200, total: 200 * (seconds - 4) })
    const low = await flood
    const busy = (cpuMicros(gateway.pid) - before) / (low.seconds * 1e6)
    const offered = low.latencies.length / low.seconds
    process.stdout.write(
      `low requests, ${offered.toFixed(0)}/s for ${low.seconds.toFixed(1)} s against ${capacity}/s that can be carried: ${low.latencies.length - low.failures} served, ${low.failures} refused; the gateway used ${(busy * 100).toFixed(0)} % of its core\n`,
    )
    tell("among them", high)
    tell("right after", await send({ port, priority: "high", rate: 200, total: 200 * 3 }))
  } finally {
    for (const program of running.toReversed()) await program.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

function configuration(port, adminPort, backend) {
  return `gateway: { port: ${port}, adminPort: ${adminPort}, maxInFlight: 100, discovery: [] }
services: { backend: { instances: ["127.0.0.1:${backend}"] } }
routes: [{ pathPrefix: /, service: backend }]
`
}

function send({ port, priority, connections = 32, ...load }) {
  const bytes = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX-Request-Priority: ${priority}\r\n\r\n`)
  return sendRequests({ port, connections, requestOf: () => bytes, ...load })
}

function tell(when, { latencies, failures }) {
  const at = (share) => latencies[Math.floor(latencies.length * share)].toFixed(1)
  process.stdout.write(`high requests ${when}: ${latencies.length} sent, ${failures} failed, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms\n`)
}
