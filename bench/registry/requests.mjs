import { pathOf, registerAll, registration, startBare, startDiscovery } from "../support/discovery.mjs"
import { median, requestBytes, sendRequests } from "../support/load.mjs"
import { cpuMicros } from "../support/processes.mjs"

const services = 200
const perService = 50
const connections = 32
const boot = (number) => `boot-${number}`

/** CPU time of the server per request, beside a bare node:http server that takes and gives the same bytes. */
export async function measureRequests({ scale, running }) {
  const mesh = await startDiscovery("memory")
  running.push(mesh)
  const bare = await startBare("bare-registry.mjs")
  running.push(bare)
  const count = services * perService
  await registerAll(mesh.port, { count, services })
  const list = await (await fetch(`http://127.0.0.1:${mesh.port}/v1/services/service-0/instances`)).text()
  await fetch(`http://127.0.0.1:${bare.port}/list`, { method: "PUT", body: list })

  const beat = (number) => ({ boot: boot(number), load: { lagMs: 3, utilisation: 0.25, inFlight: 7 } })
  let fresh = count
  const known = (slot) => (slot * 7) % count
  const cases = [
    {
      name: "heartbeat",
      target: 1.4,
      mesh: (slot) => ({ method: "PUT", path: `${pathOf(known(slot), services)}/heartbeat`, body: beat(known(slot)) }),
      bare: (slot) => ({ method: "PUT", path: "/echo", body: beat(known(slot)) }),
    },
    {
      name: "heartbeats, 100 in one request",
      requests: 20,
      mesh: (slot) => ({ method: "POST", path: "/v1/heartbeats", body: { beats: hundred(slot, count) } }),
      bare: (slot) => ({ method: "PUT", path: "/echo", body: { beats: hundred(slot, count) } }),
    },
    {
      name: "register again, nothing new",
      mesh: (slot) => ({ method: "PUT", path: pathOf(known(slot), services), body: registration(known(slot)) }),
      bare: (slot) => ({ method: "PUT", path: "/echo", body: registration(known(slot)) }),
    },
    {
      name: "register a new one",
      mesh: () => ({ method: "PUT", path: pathOf(fresh, services), body: registration(fresh++) }),
      bare: (slot) => ({ method: "PUT", path: "/echo", body: registration(slot) }),
    },
    {
      name: `list of ${perService} instances`,
      mesh: (slot) => ({ path: `/v1/services/service-${slot % services}/instances` }),
      bare: () => ({ path: "/list" }),
    },
  ]
  // Lists come before new instances make them longer.
  const ordered = [cases[0], cases[1], cases[2], cases[4], cases[3]]
  const rows = []
  for (const one of ordered) rows.push(await compare(one, { mesh, bare, scale }))
  await mesh.stop()
  await bare.stop()
  const title = `requests: ${count} instances in ${services} services, storage memory, ${connections} connections; CPU of the server per request, medians of ${scale.rounds} rounds`
  return { title, heads: ["", "meshwork us", "bare us", "ratio", "target", "meshwork/s", "p99 ms"], rows }
}

function hundred(slot, count) {
  return Array.from({ length: 100 }, (_, n) => {
    const number = (slot * 100 + n) % count
    return { service: `service-${number % services}`, id: `i-${number}`, boot: boot(number) }
  })
}

async function compare({ name, target, requests = 1, ...requestOf }, { mesh, bare, scale }) {
  const total = Math.round(scale.perRound / requests)
  const sides = { bare, mesh }
  const rounds = { bare: [], mesh: [] }
  for (let round = -1; round < scale.rounds; round++) {
    for (const side of ["bare", "mesh"]) {
      const { port, pid } = sides[side]
      // Made before, so that making them is nobody's time.
      const made = Array.from({ length: total }, (_, slot) => requestBytes(port, requestOf[side](slot)))
      const before = cpuMicros(pid)
      const { failures, latencies, seconds } = await sendRequests({ port, total, connections, requestOf: (slot) => made[slot] })
      if (failures > 0) throw new Error(`${name}: ${failures} of ${total} requests failed`)
      const measured = { cpu: (cpuMicros(pid) - before) / total, rate: total / seconds, p99: latencies[Math.floor(total * 0.99)] }
      if (round >= 0) rounds[side].push(measured)
    }
  }
  const of = (side, key) => median(rounds[side].map((round) => round[key]))
  const ratio = median(rounds.mesh.map((round, index) => round.cpu / rounds.bare[index].cpu))
  const targetText = target === undefined ? "" : `<= ${target}`
  return [
    name,
    of("mesh", "cpu").toFixed(0),
    of("bare", "cpu").toFixed(0),
    ratio.toFixed(2),
    targetText,
    of("mesh", "rate").toFixed(0),
    of("mesh", "p99").toFixed(1),
  ]
}
