// The client beside bare undici and what people use today, in interleaved rounds: CPU time of the calling process per call.
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { median } from "./support/load.mjs"
import { freePort, startProgram } from "./support/processes.mjs"

const root = join(import.meta.dirname, "..")
const program = join(root, "bench/programs/caller.mjs")
const rounds = 5
const perRound = 10_000

export async function run() {
  const running = []
  try {
    const backend = await freePort()
    running.push(await startProgram([join(root, "bench/programs/backend.mjs")], backend, 1, { PORT: String(backend) }))
    const names = JSON.parse(spawnSync(process.execPath, [program, "--list"], { encoding: "utf8" }).stdout)
    const contenders = []
    for (const name of names) {
      const port = await freePort()
      const started = await startProgram([program], port, 0, { PORT: String(port), VARIANT: name, BACKEND: String(backend) })
      running.push(started)
      contenders.push({ name, port, rounds: [] })
    }
    for (const contender of contenders) await measure(contender, 3000)
    for (let round = 0; round < rounds; round++) for (const contender of contenders) contender.rounds.push(await measure(contender, perRound))
    for (const contender of contenders) contender.bytes = (await measure(contender, perRound, "&allocations")).bytes
    report(contenders)
  } finally {
    for (const each of running.toReversed()) await each.stop()
  }
}

async function measure({ port }, calls, more = "") {
  return (await fetch(`http://127.0.0.1:${port}/?calls=${calls}${more}`)).json()
}

function report(contenders) {
  process.stdout.write(`${rounds} interleaved rounds of ${perRound} GETs of 1 KB, 16 at a time, medians\n`)
  const base = contenders[0]
  for (const contender of contenders) {
    const cpu = median(contender.rounds.map((round) => round.cpu))
    const ratio = median(contender.rounds.map((round, index) => round.cpu / base.rounds[index].cpu))
    const rate = median(contender.rounds.map((round) => perRound / round.seconds))
    process.stdout.write(
      `${contender.name.padEnd(32)} ${cpu.toFixed(1).padStart(6)} us CPU/call, ratio ${ratio.toFixed(2)}; ${rate.toFixed(0).padStart(6)} calls/s; ${(contender.bytes / 1024).toFixed(1).padStart(5)} KiB allocated/call\n`,
    )
  }
}
