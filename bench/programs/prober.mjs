// Probes TARGETS addresses, each once in PERIOD seconds, in one way: `GET /` tells how many probes there were and how late they are.
import { createServer } from "node:http"

const { PORT, VARIANT, TARGET_PORTS, TARGETS, PERIOD } = process.env
const ports = TARGET_PORTS.split(",").map(Number)
const count = Number(TARGETS)
const period = Number(PERIOD) * 1000
let done = 0
let failures = 0
let lateMs = 0

/** Bare requests on a clock of their own: what is due is sent, nothing else is done. */
async function bare(options) {
  const { Agent } = await import("undici")
  const dispatcher = new Agent({ connections: null })
  const begin = performance.now()
  let sent = 0
  setInterval(() => {
    const due = Math.floor(((performance.now() - begin) / period) * count)
    for (; sent < due; sent++) {
      dispatcher
        .request({ origin: `http://127.0.0.1:${ports[sent % ports.length]}`, path: "/health", method: "GET", ...options })
        .then(({ body }) => body.dump())
        .catch(() => failures++)
        .finally(() => done++)
    }
  }, 1)
}

const variants = {
  "bare undici, kept connections": () => bare({}),
  "bare undici, own connections": () => bare({ reset: true }),
  "meshwork poller": async () => {
    const { createPoller } = await import("../../packages/health-poller/dist/index.js")
    const { systemClock: clock, systemRandom: random } = await import("../../packages/contract/dist/index.js")
    const poller = createPoller({ clock, random, onVerdict: ({ status }) => status === "failing" && failures++ })
    const check = {
      method: "http",
      path: "/health",
      frequencySeconds: period / 1000,
      timeoutSeconds: 5,
      retries: 0,
      retryDelaySeconds: 0,
      passAfter: 1,
      failAfter: 1,
      packetLimit: 5000,
    }
    const health = { status: "unknown", since: 0, reason: "" }
    poller.sync(
      Array.from({ length: count }, (_, n) => ({
        service: `s${n % 100}`,
        id: `i${n}`,
        host: "127.0.0.1",
        port: ports[n % ports.length],
        scheme: "http",
        check,
        health,
      })),
    )
    setInterval(() => {
      const { probes, lateMs: late } = poller.statistics()
      done = probes.active + probes.inactive + probes.unreachable + probes.fault
      lateMs = Math.max(lateMs, late)
    }, 100)
  },
}

await variants[VARIANT]()
createServer((request, response) => {
  response.end(JSON.stringify({ done, failures, lateMs }))
  if (request.url === "/reset") lateMs = 0
}).listen(Number(PORT), "127.0.0.1")
