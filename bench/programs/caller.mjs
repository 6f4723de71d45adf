// Calls a backend in one way, as often as it is told: `GET /?calls=N` answers with what that cost this process.
import { createServer } from "node:http"

const { PORT, VARIANT, BACKEND } = process.env
const origin = `http://127.0.0.1:${BACKEND}`
const parallel = 16

/** Ways to fetch a body of 1 KB as text. Each is what its documentation shows for repeated calls to one host. */
const variants = {
  "undici request": async () => {
    const { request, Agent } = await import("undici")
    const dispatcher = new Agent({ connections: parallel })
    return async () => (await request(`${origin}/charges/7`, { dispatcher })).body.text()
  },
  "meshwork, plain": () => meshwork({ retryBudget: false }),
  "meshwork, budget": () => meshwork({}),
  "meshwork, budget + breaker": async () => {
    const { circuitBreaker } = await import("../../packages/client-sdk/dist/index.js")
    return meshwork({ circuitBreaker: circuitBreaker() })
  },
  "meshwork, everything + metrics": async () => {
    const { circuitBreaker } = await import("../../packages/client-sdk/dist/index.js")
    const { createMetrics } = await import("../../packages/client-sdk/dist/metrics.js")
    const { createRequire } = await import("node:module")
    const { Registry } = createRequire(new URL("../../packages/client-sdk/package.json", import.meta.url))("prom-client")
    return meshwork({ circuitBreaker: circuitBreaker(), observer: createMetrics({ registry: new Registry() }).client })
  },
  fetch: () => async () => (await fetch(`${origin}/charges/7`)).text(),
  got: async () => {
    const { default: got } = await import("got")
    const { Agent } = await import("node:http")
    const client = got.extend({ agent: { http: new Agent({ keepAlive: true, maxSockets: parallel }) } })
    return () => client(`${origin}/charges/7`).text()
  },
  axios: async () => {
    const { default: axios } = await import("axios")
    const { Agent } = await import("node:http")
    const client = axios.create({ httpAgent: new Agent({ keepAlive: true, maxSockets: parallel }), responseType: "text" })
    return async () => (await client.get(`${origin}/charges/7`)).data
  },
  "opossum + undici": async () => {
    const { default: CircuitBreaker } = await import("opossum")
    const call = await variants["undici request"]()
    const breaker = new CircuitBreaker(call, { timeout: 20_000 })
    return () => breaker.fire()
  },
}

async function meshwork(options) {
  const { createClient } = await import("../../packages/client-sdk/dist/index.js")
  const client = createClient({ endpoint: origin, ...options })
  return async () => (await client.get("/charges/{id}", { params: { id: 7 } })).text()
}

/** Begins to sample what is allocated, what is collected meanwhile included; the function it yields tells how many bytes it was. */
async function startSampling() {
  const { Session } = await import("node:inspector/promises")
  const session = new Session()
  session.connect()
  const all = { includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true }
  await session.post("HeapProfiler.startSampling", { samplingInterval: 8192, ...all })
  return async () => {
    const { profile } = await session.post("HeapProfiler.stopSampling")
    session.disconnect()
    const sum = (node) => node.selfSize + node.children.reduce((total, child) => total + sum(child), 0)
    return sum(profile.head)
  }
}

if (process.argv[2] === "--list") {
  process.stdout.write(JSON.stringify(Object.keys(variants)))
} else {
  const call = await variants[VARIANT]()
  createServer(async (request, response) => {
    const asked = new URL(request.url, "http://x").searchParams
    const calls = Number(asked.get("calls") ?? 0)
    const allocated = asked.has("allocations") ? await startSampling() : undefined
    const before = process.cpuUsage()
    const begin = performance.now()
    let left = calls
    const worker = async () => {
      while (left-- > 0) if ((await call()).length !== 1024) throw new Error("not the answer")
    }
    await Promise.all(Array.from({ length: parallel }, worker))
    const { user, system } = process.cpuUsage(before)
    const bytes = allocated === undefined ? undefined : (await allocated()) / Math.max(1, calls)
    response.end(JSON.stringify({ bytes, cpu: (user + system) / Math.max(1, calls), seconds: (performance.now() - begin) / 1000 }))
  }).listen(Number(PORT), "127.0.0.1")
}
