// The registry beside what its work costs at least, in interleaved rounds over real sockets against the real process.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { measureFanOut } from "./registry/fan-out.mjs"
import { measureMemory } from "./registry/memory.mjs"
import { measureRequests } from "./registry/requests.mjs"
import { measureStartUp } from "./registry/start-up.mjs"
import { measureStores } from "./registry/stores.mjs"
import { hasEtcd, startEtcd } from "./support/etcd.mjs"

const full = { rounds: 5, perRound: 8000, registrations: 2000, changes: 20, stored: 100_000, storedRounds: 1 }
const quick = { rounds: 2, perRound: 3000, registrations: 1000, changes: 5, stored: 20_000, storedRounds: 1 }

/** Measures one part after the other and prints a table of each; `--quick` takes fewer and smaller rounds. */
export async function run(args) {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-bench-"))
  const running = []
  const scale = parseArgs({ args, options: { quick: { type: "boolean" } } }).values.quick ? quick : full
  const begin = performance.now()
  try {
    const etcd = hasEtcd ? await startEtcd() : undefined
    if (etcd !== undefined) running.push(etcd)
    const context = { folder, running, scale, etcd }
    for (const measure of [measureRequests, measureFanOut, measureStores, measureMemory, measureStartUp]) print(await measure(context))
    process.stdout.write(`took ${((performance.now() - begin) / 1000).toFixed(0)} s\n`)
  } finally {
    for (const program of running.toReversed()) await program.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** One table: a title, and rows of texts under their heads. */
function print({ title, heads, rows }) {
  const lines = [heads, ...rows]
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => String(line[column] ?? "").length)))
  const show = (line) => line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join("  ")
  process.stdout.write(`${title}\n${lines.map((line) => `  ${show(line)}\n`).join("")}\n`)
}
