// 10,000 instances probed every 10 s on one core, beside bare undici requests at the same rate: CPU time per probe, and whether it keeps up.
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { median } from "./support/load.mjs"
import { cpuMicros, freePort, residentMegabytes, startProgram } from "./support/processes.mjs"

const root = join(import.meta.dirname, "..")
const rounds = 3
const targets = 10_000
const period = 10
const warmUpMs = 15_000
const measureMs = 20_000
const names = ["bare undici, kept connections", "bare undici, own connections", "meshwork poller"]

export async function run() {
  const port = await freePort()
  const program = await startProgram([join(root, "bench/programs/health-targets.mjs")], port, 1, { PORT: String(port) })
  try {
    const ports = await (await fetch(`http://127.0.0.1:${port}/ports`)).json()
    const results = new Map(names.map((name) => [name, []]))
    for (let round = 0; round < rounds; round++) for (const name of names) results.get(name).push(await measure(name, ports))
    report(results)
  } finally {
    await program.stop()
  }
  reportHistories()
}

async function measure(name, ports) {
  const port = await freePort()
  const environment = { PORT: String(port), VARIANT: name, TARGET_PORTS: ports.join(","), TARGETS: String(targets), PERIOD: String(period) }
  const program = await startProgram([join(root, "bench/programs/prober.mjs")], port, 0, environment)
  try {
    await wait(warmUpMs)
    const before = await look(port, program.pid, "/reset")
    await wait(measureMs)
    const after = await look(port, program.pid, "/")
    if (after.failures > 0) throw new Error(`${name} failed ${after.failures} times`)
    const probes = after.done - before.done
    const seconds = (after.at - before.at) / 1000
    return {
      cpu: (after.cpu - before.cpu) / probes,
      core: (after.cpu - before.cpu) / 1e6 / seconds,
      rate: probes / seconds,
      lateMs: after.lateMs,
      megabytes: residentMegabytes(program.pid),
    }
  } finally {
    await program.stop()
  }
}

async function look(port, pid, path) {
  const cpu = cpuMicros(pid)
  const at = performance.now()
  return { ...(await (await fetch(`http://127.0.0.1:${port}${path}`)).json()), cpu, at }
}

function reportHistories() {
  const { stdout } = spawnSync(process.execPath, [join(root, "bench/programs/histories.mjs")], {
    encoding: "utf8",
    env: { ...process.env, TARGETS: String(targets) },
    stdio: ["ignore", "pipe", "inherit"],
  })
  const { bytes, recorded, fewest, most, micros, rss, arrayBuffers } = JSON.parse(stdout)
  const megabytes = (number) => `${(number / 1024 / 1024).toFixed(0)} MB`
  process.stdout.write(
    `histories of ${targets} targets, limit 1,000,000 packets each, ${recorded} recorded: ${fewest} to ${most} kept in ${megabytes(bytes)} of 256 MB ` +
      `(buffers ${megabytes(arrayBuffers)}, process ${megabytes(rss)}), ${micros.toFixed(2)} us for one more\n`,
  )
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function report(results) {
  process.stdout.write(`${targets} targets every ${period} s, ${rounds} interleaved rounds of ${measureMs / 1000} s, medians\n`)
  const base = results.get("bare undici, own connections")
  for (const [name, rows] of results) {
    const of = (key) => median(rows.map((row) => row[key]))
    const ratio = median(rows.map((row, index) => row.cpu / base[index].cpu))
    process.stdout.write(
      `${name.padEnd(30)} ${of("cpu").toFixed(0).padStart(4)} us CPU/probe, ratio ${ratio.toFixed(2)}; ${(of("core") * 100).toFixed(0).padStart(3)} % of a core; ` +
        `${of("rate").toFixed(0).padStart(5)} probes/s, latest ${of("lateMs").toFixed(0)} ms; ${of("megabytes").toFixed(0)} MB\n`,
    )
  }
}
