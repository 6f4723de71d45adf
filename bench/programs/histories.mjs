// Fills the histories of TARGETS targets far beyond what they may take together, every hundredth packet with a text: prints what they take then, and what one more costs.
import { PacketRing } from "../../packages/health-poller/dist/packet-ring.js"
import { PacketStore } from "../../packages/health-poller/dist/packet-store.js"

const most = 256 * 1024 * 1024
const count = Number(process.env.TARGETS)
const packetLimit = 1_000_000
const store = new PacketStore(most)
const rings = Array.from({ length: count }, () => new PacketRing(store))
const wanted = Math.ceil((most * 1.25) / 8 / count)
const full = Math.floor(wanted * 0.9)
let begin = 0
for (let n = 0; n < wanted; n++) {
  const said = n % 100 === 7 ? { said: "answered 500" } : {}
  if (n === full) begin = performance.now()
  for (const ring of rings) ring.record({ startedAt: n * 10_000, durationMs: 3, outcome: "active", ...said }, packetLimit)
}
const micros = ((performance.now() - begin) * 1000) / ((wanted - full) * count)
const sizes = rings.map(({ size }) => size)
const { rss, heapUsed, arrayBuffers } = process.memoryUsage()
const result = { bytes: store.bytes, recorded: wanted, fewest: Math.min(...sizes), most: Math.max(...sizes), micros, rss, heapUsed, arrayBuffers }
process.stdout.write(`${JSON.stringify(result)}\n`)
