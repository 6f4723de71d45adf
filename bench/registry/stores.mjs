import { join } from "node:path"
import { registerAll, registration, startBare, startDiscovery } from "../support/discovery.mjs"
import { median } from "../support/load.mjs"

const services = 200
const connections = 32

/** Registrations a second on stores that keep them, beside as many plain writes to the same kind of store. */
export async function measureStores({ scale, folder, running, etcd }) {
  const kinds = [
    {
      name: "sqlite",
      bare: "raw insert, one per commit, synchronous=FULL",
      write: "sqlite",
      place: join(folder, "plain.sqlite"),
      storage: `sqlite:${join(folder, "writes.sqlite")}`,
    },
    {
      name: "file",
      bare: "raw append, fdatasync after each line",
      write: "file",
      place: join(folder, "plain.log"),
      storage: `file:${join(folder, "writes.log")}`,
    },
    ...(etcd
      ? [{ name: "etcd", bare: "raw etcd put", write: "etcd", place: `${etcd.hostPort}/plain`, storage: `etcd://${etcd.hostPort}/writes` }]
      : []),
  ]
  const rows = []
  for (const kind of kinds) rows.push(await compare(kind, { scale, running }))
  if (!etcd) rows.push(["etcd", "not measured: there is no etcd on PATH"])
  const title = `registrations on a store: ${scale.registrations} new instances at a time over ${connections} connections, medians of ${scale.rounds} rounds`
  return { title, heads: ["", "meshwork/s", "bare/s", "time ratio", "p50 ms", "p99 ms", "beside"], rows }
}

async function compare({ name, bare: beside, write, place, storage }, { scale, running }) {
  const mesh = await startDiscovery(storage)
  running.push(mesh)
  const bare = await startBare("bare-stores.mjs", { WRITE: write, PLACE: place })
  running.push(bare)
  const count = scale.registrations
  const record = JSON.stringify(registration(1))
  const samples = []
  for (let round = -1; round < scale.rounds; round++) {
    const from = (round + 1) * count
    const asked = new URLSearchParams({ writes: String(count), from: String(from), record })
    const plain = await (await fetch(`http://127.0.0.1:${bare.port}/?${asked}`)).json()
    const { seconds, latencies } = await registerAll(mesh.port, { from, count, services, connections })
    if (round >= 0) samples.push({ mesh: seconds, bare: plain.seconds, p50: latencies[count >> 1], p99: latencies[Math.floor(count * 0.99)] })
  }
  await mesh.stop()
  await bare.stop()
  const of = (key) => median(samples.map((sample) => sample[key]))
  const ratio = median(samples.map((sample) => sample.mesh / sample.bare))
  return [
    name,
    (count / of("mesh")).toFixed(0),
    (count / of("bare")).toFixed(0),
    ratio.toFixed(2),
    of("p50").toFixed(1),
    of("p99").toFixed(1),
    beside,
  ]
}
