import { pathOf, registerAll, registration, startBare, startDiscovery } from "../support/discovery.mjs"
import { median, requestBytes, sendRequests } from "../support/load.mjs"
import { cpuMicros } from "../support/processes.mjs"
import { Watchers } from "../support/watchers.mjs"

const services = 200
const perService = 50
const watchers = 2000

/** CPU time per delivery and the time until everyone has a change, beside a bare loop that writes the same bytes to as many sockets. */
export async function measureFanOut({ scale, running }) {
  const mesh = await startDiscovery("memory")
  running.push(mesh)
  const bare = await startBare("bare-registry.mjs")
  running.push(bare)
  await registerAll(mesh.port, { count: services * perService, services })
  const everyone = Array.from({ length: watchers }, () => "/v1/watch?service=service-0")
  const spread = Array.from({ length: watchers }, (_, n) => `/v1/watch?service=service-${n % services}`)
  const rows = [
    await compare(`1 change to ${watchers} watchers of its service`, { mesh, bare, scale, paths: everyone, changed: 1, target: "<= 1.5" }),
    await compare(`${services} changes, one for every ${watchers / services} of ${watchers} watchers`, {
      mesh,
      bare,
      scale,
      paths: spread,
      changed: services,
    }),
  ]
  await mesh.stop()
  await bare.stop()
  const title = `watch: ${services} services of ${perService} instances; CPU of the server per delivery without the request that makes the change, medians of ${scale.changes} changes`
  return { title, heads: ["", "meshwork us", "bare us", "ratio", "target", "all have it ms", "bare ms"], rows }
}

async function compare(name, { mesh, bare, scale, paths, changed, target = "" }) {
  const meshWatchers = new Watchers(mesh.port)
  await meshWatchers.open(paths)
  const bareWatchers = new Watchers(bare.port)
  await bareWatchers.open(paths.map(() => "/watch"))
  const samples = []
  for (let change = -2; change < scale.changes; change++) {
    const mark = `mark-${performance.now().toString(36).replace(".", "")}`
    const made = Array.from({ length: changed }, (_, slot) => changeOf(mesh.port, slot, mark))
    meshWatchers.bytes = 0
    const delivered = await timed(
      mesh,
      () => meshWatchers.expect(mark),
      () => sendAll(mesh.port, made),
    )
    const size = Math.round(meshWatchers.bytes / paths.length)
    // As many bytes as the registry wrote, in as many writes.
    const event = Buffer.from(`${(size - 10).toString(16)}\r\n${mark.padEnd(size, ".")}\r\n`)
    const echoed = await timed(
      bare,
      () => bareWatchers.expect(mark),
      () => fetch(`http://127.0.0.1:${bare.port}/event`, { method: "PUT", body: event }),
    )
    const asking = await timed(
      mesh,
      () => {},
      () =>
        sendAll(
          mesh.port,
          made.map(() => beatOf(mesh.port)),
        ),
    )
    if (change >= 0)
      samples.push({ mesh: (delivered.cpu - asking.cpu) / paths.length, bare: echoed.cpu / paths.length, meshMs: delivered.ms, bareMs: echoed.ms })
  }
  meshWatchers.close()
  bareWatchers.close()
  const of = (key) => median(samples.map((sample) => sample[key]))
  const ratio = median(samples.map((sample) => sample.mesh / sample.bare))
  return [name, of("mesh").toFixed(1), of("bare").toFixed(1), ratio.toFixed(2), target, of("meshMs").toFixed(0), of("bareMs").toFixed(0)]
}

/** An instance that comes back with another revision. */
function changeOf(port, slot, mark) {
  return requestBytes(port, { method: "PUT", path: pathOf(slot, services), body: registration(slot, { revision: mark }) })
}

/** A request that changes nothing: what asking costs. */
function beatOf(port) {
  return requestBytes(port, { method: "PUT", path: `${pathOf(1, services)}/heartbeat`, body: { boot: "boot-1" } })
}

function sendAll(port, made) {
  return sendRequests({ port, total: made.length, connections: Math.min(16, made.length), requestOf: (slot) => made[slot] })
}

/** CPU of a server and the time until everyone was told, from the moment it is asked. */
async function timed({ pid }, expect, act) {
  const told = expect()
  const before = cpuMicros(pid)
  const begin = performance.now()
  await act()
  const end = await told
  // What came last to the watchers may not be the last that the server did.
  await new Promise((resolve) => setTimeout(resolve, 60))
  return { cpu: cpuMicros(pid) - before, ms: (end ?? performance.now()) - begin }
}
