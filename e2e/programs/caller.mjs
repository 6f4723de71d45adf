// Calls a service of the mesh over the SDK, GETs and POSTs (with an Idempotency-Key where KEYS is set) in turn, and prints a line of JSON every 100 ms: what each instance answered, and what failed.
import { randomUUID } from "node:crypto"
import { setTimeout as pause } from "node:timers/promises"
import { createMesh } from "../../packages/client-sdk/dist/index.js"

const { MESHWORK_SERVER, SERVICE, TARGET, KEYS } = process.env
const mesh = createMesh({ discovery: MESHWORK_SERVER, serviceName: "caller" })
const service = mesh.client(SERVICE)
const answered = {}
const failures = []
let stopping = false

async function call(method) {
  const begin = performance.now()
  const failed = (why) => failures.push(`${method} after ${Math.round(performance.now() - begin)} ms: ${why}`)
  try {
    const headers = method === "POST" && KEYS ? { "idempotency-key": randomUUID() } : {}
    const response = await service.request(method, TARGET, { timeoutMs: 5000, headers, ...(method === "POST" ? { json: { order: 7 } } : {}) })
    const text = await response.text()
    if (response.status !== 200) return failed(`${response.status} of ${response.endpoint}: ${text}`)
    answered[response.endpoint] ??= { GET: 0, POST: 0 }
    answered[response.endpoint][method]++
  } catch (error) {
    failed(String(error))
  }
}

async function work() {
  for (let turn = 0; !stopping; turn++) {
    await call(turn % 2 === 0 ? "GET" : "POST")
    await pause(20)
  }
}

const tell = () => process.stdout.write(`${JSON.stringify({ answered, failures: failures.slice(0, 20), failed: failures.length })}\n`)
process.on("SIGTERM", () => (stopping = true))
const timer = setInterval(tell, 100)
await Promise.all(Array.from({ length: 16 }, work))
clearInterval(timer)
tell()
await mesh.close()
