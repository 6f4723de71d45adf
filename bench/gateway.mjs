// The gateway beside a bare loop of the same parts, in interleaved rounds: CPU time of the process under test per request.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { median, sendRequests } from "./support/load.mjs"
import { cpuMicros, freePort, residentMegabytes, startProgram } from "./support/processes.mjs"

const root = join(import.meta.dirname, "..")
const rounds = 7
const perRound = 10_000
const connections = 32

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-bench-"))
  const running = []
  try {
    const contenders = await start(folder, running)
    for (const contender of contenders) await measure(contender, 5000)
    for (let round = 0; round < rounds; round++) for (const contender of contenders) contender.rounds.push(await measure(contender, perRound))
    report(contenders)
  } finally {
    for (const program of running.toReversed()) await program.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function start(folder, running) {
  const [backend, bare, port, adminPort] = [await freePort(), await freePort(), await freePort(), await freePort()]
  running.push(await startProgram([join(root, "bench/programs/backend.mjs")], backend, 1, { PORT: String(backend) }))
  const bareProgram = await startProgram([join(root, "bench/programs/bare-proxy.mjs")], bare, 0, { PORT: String(bare), BACKEND: String(backend) })
  running.push(bareProgram)
  const file = join(folder, "meshwork.yaml")
  writeFileSync(
    file,
    `gateway: { port: ${port}, adminPort: ${adminPort}, discovery: [] }\nservices: { backend: { instances: ["127.0.0.1:${backend}"] } }\nroutes: [{ pathPrefix: /, service: backend }]\n`,
  )
  const gateway = await startProgram([join(root, "apps/cli/bin/meshwork.js"), "gateway", "-c", file], port, 0)
  running.push(gateway)
  return [
    { name: "bare node:http + undici", port: bare, pid: bareProgram.pid, rounds: [] },
    { name: "meshwork gateway", port, pid: gateway.pid, rounds: [] },
  ]
}

async function measure({ port, pid, name }, total) {
  const before = cpuMicros(pid)
  const { failures, latencies, seconds } = await sendRequests({ port, path: "/api/orders/7", total, connections })
  if (failures > 0) throw new Error(`${name} failed ${failures} of ${total} requests`)
  return { cpu: (cpuMicros(pid) - before) / total, rate: total / seconds, p50: latencies[total >> 1], p99: latencies[Math.floor(total * 0.99)] }
}

function report(contenders) {
  const base = contenders[0]
  process.stdout.write(`${rounds} interleaved rounds of ${perRound} GETs of 1 KB over ${connections} connections, medians\n`)
  for (const contender of contenders) {
    const of = (key) => median(contender.rounds.map((round) => round[key]))
    const ratio = median(contender.rounds.map((round, index) => round.cpu / base.rounds[index].cpu))
    process.stdout.write(
      `${contender.name.padEnd(26)} ${of("cpu").toFixed(0).padStart(4)} us CPU/request, ratio ${ratio.toFixed(2)}; ` +
        `${of("rate").toFixed(0).padStart(6)} requests/s; p50 ${of("p50").toFixed(2)} ms, p99 ${of("p99").toFixed(2)} ms; ${residentMegabytes(contender.pid).toFixed(0)} MB\n`,
    )
  }
}
