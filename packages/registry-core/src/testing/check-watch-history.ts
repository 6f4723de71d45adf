import type { Random } from "@meshwork/contract"
import { ManualClock, seededRandom } from "@meshwork/contract/testing"
import type { Registry } from "../registry.ts"
import { derived } from "../rules/derive.ts"
import { KeptData } from "./kept-data.ts"
import { openRegistry, sampleRegistration } from "./open-registry.ts"
import { type HeldView, WatchingClient } from "./watching-client.ts"

export interface WatchHistoryOptions {
  seed: number
  steps: number
}

/** What a run did, and every promise it saw broken. */
export interface WatchHistory {
  faults: string[]
  events: number
  restarts: number
  reconnects: number
}

const services = ["a", "b", "c", "d", "e"]
const by = { origin: "api", by: "test" } as const

/**
 * Drives a registry with random operations, restarts and faults while prompt, slow, stalled and reconnecting subscribers follow it, and compares
 * every view after every event with the registry's state at that revision.
 */
export async function checkWatchHistory({ seed, steps }: WatchHistoryOptions): Promise<WatchHistory> {
  const random = seededRandom(seed)
  const clock = new ManualClock()
  let data = new KeptData(clock)
  let { registry } = await openRegistry({ clock, storage: data.storage() })
  const history: WatchHistory = { faults: [], events: 0, restarts: 0, reconnects: 0 }
  const clients = Array.from({ length: 12 }, (_, index) => new WatchingClient([undefined, ["a"], ["a", "b", "nobody"], services][index % 4]))
  const step = { number: 0 }
  const fault = (text: string) => history.faults.push(`seed ${seed}, step ${step.number}: ${text}`)

  let truth = { revision: -1, byService: new Map<string, string>() }
  /** What the storage holds of a service, as subscribers see it. */
  const stored = (service: string): string => {
    if (truth.revision !== data.revision) {
      const instances = data.records().map(({ record }) => derived(record))
      instances.sort((a, b) => (a.id < b.id ? -1 : 1))
      truth = {
        revision: data.revision,
        byService: new Map(services.map((name) => [name, JSON.stringify(instances.filter((instance) => instance.service === name))])),
      }
    }
    return truth.byService.get(service) ?? "[]"
  }
  const compare = (service: string, view: HeldView | undefined) => {
    const held = [...(view?.instances.values() ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1))
    if (JSON.stringify(held) !== stored(service)) fault(`${service} at ${view?.revision} is not what is stored`)
  }
  const takeAll = (client: WatchingClient, cut?: Random) => {
    client.take(cut, (service, view) => {
      history.events++
      const { revision } = registry.list(service)
      if (view.instances.size > 0 && view.revision !== revision) fault(`${service} was handed out at ${view.revision}, it is at ${revision}`)
      compare(service, view)
    })
    for (const text of client.faults.splice(0)) fault(text)
    if (client.connected) for (const service of client.services ?? services) compare(service, client.views.get(service))
  }
  const restart = async () => {
    history.restarts++
    for (const client of clients) client.disconnect()
    data.fault = undefined
    await registry.close()
    if (random() < 0.5) {
      data = new KeptData(clock)
      truth.revision = -1
    }
    registry = (await openRegistry({ clock, storage: data.storage() })).registry
  }

  for (step.number = 0; step.number < steps; step.number++) {
    if (random() < 0.01) await restart()
    data.fault = random() < 0.02 ? new Error("the disk is full") : undefined
    const burst = random() < 0.1 ? 20 : 1
    await Promise.allSettled(Array.from({ length: burst }, () => operate(registry, random)))
    await clock.advance(random() < 0.2 ? 25 : random() < 0.03 ? 6000 : 0)
    for (const [index, client] of clients.entries()) {
      if (!client.connected) {
        if (random() > 0.2) continue
        history.reconnects++
        client.connect(registry)
      }
      // Prompt ones take when woken; slow ones now and then; stalled ones hardly ever.
      const eager = [1, 0.2, 0.01][index % 3] ?? 1
      if (client.awake && random() < eager) takeAll(client, random() < 0.05 ? random : undefined)
    }
  }
  data.fault = undefined
  for (const client of clients) if (!client.connected) client.connect(registry)
  await clock.advance(3000)
  for (const client of clients) takeAll(client)
  for (const client of clients) client.disconnect()
  await registry.close()
  return history
}

function operate(registry: Registry, random: Random): Promise<unknown> {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T
  const key = { service: pick(services), id: `i${Math.floor(random() * 6)}` }
  const choice = random()
  if (choice < 0.35) {
    const changes = { weight: pick([1, 2, 3]), boot: pick(["x", "y"]), ttlSeconds: pick([3, 5, 0, 300]), tags: { n: pick([1, 2]) } }
    return registry.register(key, sampleRegistration(changes), by)
  }
  if (choice < 0.5) return registry.deregister(key, { by: "test" })
  if (choice < 0.65)
    return registry.patch(key, { state: pick(["up", "draining", "disabled", null] as const), weight: pick([5, null]) }, { by: "test" })
  if (choice < 0.8) return registry.reportHealth(key, { status: pick(["passing", "failing"] as const), reason: "probed", by: "test" })
  return Promise.resolve(registry.heartbeat({ ...key, boot: pick(["x", "y"]) }))
}
