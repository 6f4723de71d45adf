import { type Instance, parseWatchToken, type Random, formatWatchToken, type WatchToken } from "@meshwork/contract"
import type { Registry, Watch } from "../registry.ts"

/** What a subscriber holds of one service. */
export interface HeldView {
  epoch: string
  revision: number
  instances: Map<string, Instance>
}

/** The data of any event, as far as this client looks at it. */
interface EventData {
  epoch: string
  revision: number
  service: string
  services?: string[]
  from: number
  instances: Instance[]
  upserted: Instance[]
  removed: { id: string }[]
}

/** A subscriber as the protocol wants it, which writes down every promise that was broken. */
export class WatchingClient {
  readonly services: readonly string[] | undefined
  readonly views: Map<string, HeldView> = new Map()
  /** Promises broken, as sentences; none in a good run. */
  readonly faults: string[] = []
  awake = false
  #watch: Watch | undefined
  #lastId: string | undefined

  /** @param services what it watches; undefined = all */
  constructor(services: readonly string[] | undefined) {
    this.services = services
  }

  get connected(): boolean {
    return this.#watch !== undefined
  }

  get token(): WatchToken | undefined {
    return parseWatchToken(this.#lastId)
  }

  /** Connects, from where it left off. */
  connect(registry: Registry, fresh: readonly string[] = []): void {
    const resume = this.token
    const options = { ...(this.services ? { services: this.services } : {}), ...(resume ? { resume } : {}), fresh }
    this.#watch = registry.watch(options, () => {
      if (this.awake) this.faults.push("woken twice without a take between")
      this.awake = true
    })
  }

  disconnect(): void {
    this.#watch?.close()
    this.#watch = undefined
    this.awake = false
  }

  /** Takes what there is; with `cut` the connection breaks after some of it. Calls `seen` for every service that an event changed. */
  take(cut: Random | undefined, seen: (service: string, view: HeldView) => void): void {
    this.awake = false
    const frames = this.#watch?.take() ?? []
    const count = cut === undefined ? frames.length : Math.floor(cut() * (frames.length + 1))
    for (const { event, json, token } of frames.slice(0, count)) {
      this.#apply(event, JSON.parse(String(json)) as EventData, seen)
      if (token !== undefined) this.#lastId = formatWatchToken(token)
    }
    if (cut !== undefined) this.disconnect()
  }

  #apply(event: string, data: EventData, seen: (service: string, view: HeldView) => void): void {
    if (event === "reset") this.views.clear()
    if (event === "synced" && data.services) for (const name of this.views.keys()) if (!data.services.includes(name)) this.views.delete(name)
    if (event !== "snapshot" && event !== "change") return
    const held = this.views.get(data.service)
    if (held && held.epoch === data.epoch && data.revision < held.revision)
      this.faults.push(`${data.service} went back from ${held.revision} to ${data.revision}`)
    let instances = new Map<string, Instance>()
    if (event === "snapshot") for (const instance of data.instances) instances.set(instance.id, instance)
    else if (held === undefined || held.epoch !== data.epoch || data.from > held.revision) {
      this.faults.push(`${data.service}: a change from ${data.from} for one who holds ${held?.revision}`)
      return
    } else {
      instances = new Map(held.instances)
      for (const { id } of data.removed) instances.delete(id)
      for (const instance of data.upserted) instances.set(instance.id, instance)
    }
    const view: HeldView = { epoch: data.epoch, revision: data.revision, instances }
    this.views.set(data.service, view)
    seen(data.service, view)
  }
}
