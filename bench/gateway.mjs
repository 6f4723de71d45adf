// The gateway beside its peers and beside a bare loop of the same parts, in interleaved rounds: CPU time of the process under test per request.
// `--quick` sends a third; `--only NAME,NAME` measures some of them; `--job NAME` one kind of traffic.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { median, requestBytes, sendRequests } from "./support/load.mjs"
import { cpuMicros, freePort, residentMegabytes, startProgram, startServer } from "./support/processes.mjs"
import { configured, isInstalled, servers } from "./support/servers.mjs"
import { sendMessages } from "./support/websockets.mjs"

const root = join(import.meta.dirname, "..")
/** Many short ones: what else the machine does then falls on neighbours alike. */
const rounds = 21
const ours = "meshwork gateway"
const logging = "meshwork, access log"
const bare = "bare node:http + undici"
const nodePeers = ["http-proxy", "http-proxy-3", "httpxy", "fast-gateway", "@fastify/http-proxy"]

/** Kinds of traffic: what is sent, how often in a round, over how many connections. */
const jobs = [
  { name: "GET 1 KB", total: 3000, connections: 32, send: (load) => sendRequests({ ...load, path: "/api/orders/7" }) },
  { name: "GET 64 KB", total: 1400, connections: 32, send: (load) => sendRequests({ ...load, path: "/api/orders/7?bytes=65536" }) },
  { name: "POST 4 KB", total: 2100, connections: 32, send: sendPosts },
  { name: "GET 1 KB, 1,000 connections", total: 4000, connections: 1000, send: (load) => sendRequests({ ...load, path: "/api/orders/7" }) },
  { name: "WebSocket echo of 64 bytes", total: 4000, connections: 32, webSocket: true, send: (load) => sendMessages({ ...load, path: "/api/live" }) },
]

function sendPosts(load) {
  const post = requestBytes(load.port, { method: "POST", path: "/api/orders", body: Buffer.alloc(4096, "x") })
  return sendRequests({ ...load, requestOf: () => post })
}

export async function run(args) {
  const { values } = parseArgs({ args, options: { quick: { type: "boolean" }, only: { type: "string" }, job: { type: "string" } } })
  const folder = mkdtempSync(join(tmpdir(), "meshwork-bench-"))
  const running = []
  try {
    const contenders = (await start(folder, running, values.only?.split(","))).filter((contender) => contender !== undefined)
    const share = values.quick ? 1 / 3 : 1
    for (const job of jobs.filter(({ name }) => values.job === undefined || name === values.job)) await measureJob(job, contenders, share)
    if (values.job === undefined) await measureLatency(contenders, share)
    reportMemory(contenders)
  } finally {
    for (const program of running.toReversed()) await program.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** All of them run all the time: who is not measured is idle. */
async function start(folder, running, only) {
  const backend = await freePort()
  running.push(await startProgram([join(root, "bench/programs/backend.mjs")], backend, 1, { PORT: String(backend) }))
  const contenders = []
  const add = async (name, starting) => {
    if (only && name !== bare && name !== ours && !only.includes(name)) return
    const port = await freePort()
    const program = await starting(port)
    running.push(program)
    contenders.push({ name, port, pid: program.pid, rounds: new Map() })
  }
  const environment = (port, variant) => ({ PORT: String(port), BACKEND: String(backend), VARIANT: variant })
  await add(bare, (port) => startProgram([join(root, "bench/programs/bare-proxy.mjs")], port, 0, environment(port, "")))
  for (const name of [ours, logging]) {
    await add(name, async (port) => {
      const file = join(folder, `${contenders.length}.yaml`)
      const talkative = name === logging ? `accessLog: ${join(folder, "access.log")}, serverTiming: true,` : ""
      writeFileSync(file, configuration({ port, adminPort: await freePort(), backend, talkative }))
      return startProgram([join(root, "apps/cli/bin/meshwork.js"), "gateway", "-c", file], port, 0)
    })
  }
  for (const name of nodePeers)
    await add(name, (port) => startProgram([join(root, "bench/programs/node-proxy.mjs")], port, 0, environment(port, name)))
  for (const server of servers) {
    if (!isInstalled(server)) process.stdout.write(`${server.name} is not installed and was not measured\n`)
    else await add(server.name, (port) => startServer(configured(server, { port, backend, folder }), port, 0))
  }
  return contenders
}

/** Metrics, breakers, budgets, deadlines and load shedding are always on; `talkative` are the options that write more. */
function configuration({ port, adminPort, backend, talkative }) {
  return `gateway: { port: ${port}, adminPort: ${adminPort}, ${talkative} discovery: [] }
services: { backend: { instances: ["127.0.0.1:${backend}"] } }
routes: [{ pathPrefix: /, service: backend }]
`
}

async function measureJob(job, contenders, share) {
  const able = contenders.filter(({ name }) => canDo(name, job))
  for (const contender of able) await measure(contender, job, 3)
  for (let round = 0; round < rounds; round++) {
    for (const contender of able) {
      const found = contender.rounds.get(job) ?? []
      contender.rounds.set(job, [...found, await measure(contender, job, share)])
    }
  }
  report(job, able)
}

/** fast-gateway needs another package for WebSockets, and the bare loop knows none. */
function canDo(name, { webSocket = false }) {
  return !webSocket || (name !== bare && name !== "fast-gateway")
}

async function measure({ port, pid, name }, job, share) {
  const total = Math.round(job.total * share)
  const before = cpuMicros(pid)
  const { failures, seconds } = await job.send({ port, total, connections: job.connections })
  if (failures > 0 && name.startsWith("meshwork")) throw new Error(`${name} failed ${failures} of ${total} requests of ${job.name}`)
  const cpu = cpuMicros(pid) - before
  return { cpu: cpu / total, rate: total / seconds, busy: cpu / (seconds * 1e6), failures }
}

function report(job, contenders) {
  process.stdout.write(`\n${job.name} over ${job.connections} connections, medians of ${rounds} interleaved rounds\n`)
  const own = contenders.find(({ name }) => name === ours)
  for (const contender of contenders) {
    const found = contender.rounds.get(job)
    const of = (key) => median(found.map((round) => round[key]))
    const ratio = median(own.rounds.get(job).map((round, index) => round.cpu / found[index].cpu))
    process.stdout.write(
      `  ${contender.name.padEnd(24)} ${of("cpu").toFixed(1).padStart(6)} us CPU each; ${ours} uses ${ratio.toFixed(2)} of that; ` +
        `${of("rate").toFixed(0).padStart(6)}/s at ${(of("busy") * 100).toFixed(0)} % of its core${failed(found)}\n`,
    )
  }
}

function failed(found) {
  const failures = found.reduce((sum, round) => sum + round.failures, 0)
  return failures === 0 ? "" : `; ${failures} FAILED`
}

/** Half of what the slowest one carries, at fixed times, so that nobody is short of anything: what a caller feels who does not push. */
async function measureLatency(contenders, share) {
  const [job] = jobs
  const rate = Math.round(Math.min(...contenders.map(({ rounds: found }) => median(found.get(job).map((round) => round.rate)))) / 2)
  const total = Math.round(rate * 0.7 * share)
  const found = new Map(contenders.map((contender) => [contender, []]))
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      const { latencies } = await sendRequests({ port: contender.port, path: "/api/orders/7", total, connections: 32, rate })
      found.get(contender).push([0.5, 0.99, 0.999].map((share) => latencies[Math.floor(total * share)]))
    }
  }
  process.stdout.write(
    `\nGET 1 KB at ${rate} requests/s over 32 connections, latency from when a request was due, medians of ${rounds} interleaved rounds\n`,
  )
  for (const [{ name }, all] of found) {
    const [p50, p99, p999] = [0, 1, 2].map((which) => median(all.map((round) => round[which])).toFixed(2))
    process.stdout.write(`  ${name.padEnd(24)} p50 ${p50} ms, p99 ${p99} ms, p99.9 ${p999} ms\n`)
  }
}

function reportMemory(contenders) {
  process.stdout.write(`\nresident memory after all that\n`)
  for (const { name, pid } of contenders) process.stdout.write(`  ${name.padEnd(24)} ${residentMegabytes(pid).toFixed(0)} MB\n`)
}
