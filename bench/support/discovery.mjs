import { join } from "node:path"
import { requestBytes, sendRequests } from "./load.mjs"
import { freePort, startProgram } from "./processes.mjs"

const root = join(import.meta.dirname, "../..")

/** Starts `meshwork discovery` on the first core. */
export async function startDiscovery(storage) {
  const port = await freePort()
  const preload = ["--import", join(root, "bench/programs/collect-garbage.mjs")]
  const args = [...preload, join(root, "apps/cli/bin/meshwork.js"), "discovery", "--port", String(port), "--storage", storage]
  return { port, ...(await startProgram(args, port, 0)) }
}

/** Starts one of the programs beside this folder on the first core. */
export async function startBare(program, environment = {}) {
  const port = await freePort()
  return { port, ...(await startProgram([join(root, "bench/programs", program)], port, 0, { PORT: String(port), ...environment })) }
}

/** What an instance registers with: about what the SDK sends. */
export function registration(number, changes = {}) {
  const tags = { version: "3.4.1", team: "payments", started: "2026-01-05T10:00:00Z" }
  const place = {
    host: `10.1.${(number >> 8) & 255}.${number & 255}`,
    port: 8000 + (number % 50_000),
    zone: `zone-${number % 3}`,
    revision: "4f2c9a1",
  }
  return { ...place, tags, ttlSeconds: 3600, boot: `boot-${number}`, ...changes }
}

/** Path of an instance; `services` of them share the numbers. */
export function pathOf(number, services) {
  return `/v1/services/service-${number % services}/instances/i-${number}`
}

/** Registers instances by their numbers, over HTTP. */
export async function registerAll(port, { from = 0, count, services, connections = 32 }) {
  const requestOf = (slot) => requestBytes(port, { method: "PUT", path: pathOf(from + slot, services), body: registration(from + slot) })
  const result = await sendRequests({ port, total: count, connections, requestOf })
  if (result.failures > 0) throw new Error(`${result.failures} of ${count} registrations failed`)
  return result
}
