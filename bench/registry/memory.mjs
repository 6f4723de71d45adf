import { registerAll, startDiscovery } from "../support/discovery.mjs"
import { residentMegabytes } from "../support/processes.mjs"

const services = 2000
const megabyte = 1024 * 1024

/** What instances take in the memory of the process, after its garbage was collected. */
export async function measureMemory({ scale, running }) {
  const mesh = await startDiscovery("memory")
  running.push(mesh)
  const count = scale.stored
  const empty = await collected(mesh)
  const { seconds } = await registerAll(mesh.port, { count, services })
  const filled = await collected(mesh)
  const resident = residentMegabytes(mesh.pid)
  await mesh.stop()
  const grown = filled - empty
  const title = `memory: ${count} instances in ${services} services, storage memory`
  const cells = [
    "heap and external",
    (filled / megabyte).toFixed(0),
    count === 100_000 ? "< 300" : "",
    (grown / count).toFixed(0),
    resident.toFixed(0),
    (count / seconds).toFixed(0),
  ]
  return { title, heads: ["", "MB", "target MB", "bytes per instance", "resident MB", "registered/s"], rows: [cells] }
}

/** Bytes of heap and external memory in use. */
async function collected(program) {
  const known = program.said().lastIndexOf("memory ")
  process.kill(program.pid, "SIGUSR2")
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    const said = program.said()
    const at = said.lastIndexOf("memory ")
    const match = /^memory (\d+) (\d+)\n/.exec(said.slice(Math.max(0, at)))
    if (match && at !== known) return Number(match[1]) + Number(match[2])
  }
}
