import { join } from "node:path"
import { pathOf, registration, startBare, startDiscovery } from "../support/discovery.mjs"
import { median } from "../support/load.mjs"
import { residentMegabytes } from "../support/processes.mjs"

const services = 2000
const perCommit = 1000

/** From the start of the process until it answers with what is stored, beside a process that only reads and parses the same. */
export async function measureStartUp({ scale, folder, etcd, running }) {
  const kinds = [
    { name: "memory (nothing to read)", storage: "memory", stored: 0 },
    await stored("file", join(folder, "start.log"), async (path) =>
      (await import("../../packages/storage/file/dist/index.js")).createFileStorage({ path }),
    ),
    await stored("sqlite", join(folder, "start.sqlite"), async (path) =>
      (await import("../../packages/storage/sqlite/dist/index.js")).createSqliteStorage({ path }),
    ),
  ]
  if (etcd) {
    const open = async () => (await import("../../packages/storage/etcd/dist/index.js")).createEtcdStorage({ hosts: [etcd.hostPort], tree: "start" })
    kinds.push({ ...(await stored("etcd", `${etcd.hostPort}/start`, open)), storage: `etcd://${etcd.hostPort}/start` })
  }
  for (const { fill } of kinds) await fill?.(scale.stored)
  const rows = []
  for (const kind of kinds) rows.push(await compare(kind, { scale, running }))
  if (!etcd) rows.push(["etcd", "not measured: there is no etcd on PATH"])
  const title = `start-up: ${scale.stored} stored instances in ${services} services, until they are listed; medians of ${scale.storedRounds} rounds`
  return { title, heads: ["", "meshwork ms", "bare ms", "ratio", "resident MB"], rows }
}

async function stored(name, place, create) {
  return { name, place, storage: `${name}:${place}`, fill: async (count) => fill(await create(place), count) }
}

async function fill(storage, count) {
  await storage.open()
  const at = Date.now()
  const common = {
    origin: "api",
    registeredAt: at,
    scheme: "http",
    priority: "med",
    health: { status: "unknown", since: at, reason: "not probed yet", by: "registry" },
    format: 1,
  }
  const cause = { by: "bench", why: "first registration", at, what: "registered" }
  for (let from = 0; from < count; from += perCommit) {
    const ops = Array.from({ length: Math.min(perCommit, count - from) }, (_, n) => {
      const [, , , service, , id] = pathOf(from + n, services).split("/")
      return { op: "put", record: { ...registration(from + n), ...common, service, id }, ifVersion: null, cause }
    })
    const results = await storage.commit(ops)
    if (!results.every((result) => result.ok)) throw new Error(`a record was not taken: ${JSON.stringify(results.find((result) => !result.ok))}`)
  }
  await storage.close()
}

async function compare({ name, storage, place }, { scale, running }) {
  const samples = []
  for (let round = 0; round < scale.storedRounds; round++) {
    const begin = performance.now()
    const mesh = await startDiscovery(storage)
    running.push(mesh)
    const reply = await (await fetch(`http://127.0.0.1:${mesh.port}/v1/services`)).json()
    const ms = performance.now() - begin
    const found = reply.services.reduce((sum, { instances }) => sum + instances, 0)
    if (found !== (place === undefined ? 0 : scale.stored)) throw new Error(`${name} lists ${found} instances`)
    const resident = residentMegabytes(mesh.pid)
    await mesh.stop()
    samples.push({ ms, resident, bare: await bareStart(name, place, { scale, running }) })
  }
  const of = (key) => median(samples.map((sample) => sample[key]))
  const ratio = median(samples.map((sample) => sample.ms / sample.bare))
  return [name, of("ms").toFixed(0), of("bare").toFixed(0), ratio.toFixed(2), of("resident").toFixed(0)]
}

/** How long a process takes that has nothing to do but to read; one that has nothing to read listens only. */
async function bareStart(name, place, { scale, running }) {
  const begin = performance.now()
  const bare = place === undefined ? await startBare("bare-registry.mjs") : await startBare("bare-stores.mjs", { READ: name, PLACE: place })
  running.push(bare)
  const ms = performance.now() - begin
  if (place !== undefined) {
    const { held } = await (await fetch(`http://127.0.0.1:${bare.port}/`)).json()
    if (held < scale.stored) throw new Error(`the bare reader of ${name} found ${held} records`)
  }
  await bare.stop()
  return ms
}
