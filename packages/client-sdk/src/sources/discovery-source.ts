import {
  type Clock,
  type InstanceSource,
  MeshError,
  type Random,
  type ServiceCatalog,
  type ServiceSnapshot,
  sleep,
  systemClock,
  systemRandom,
  type Timer,
  type WatchEvent,
} from "@meshwork/contract"
import { baseUrl } from "../discovery-api/discovery-api.ts"
import { Latest } from "./latest.ts"
import { applyChange, applySnapshot, dropExpired, emptyView, nextExpiry, type ServiceView, snapshotOf } from "./service-view.ts"
import { watchStream } from "./watch-stream.ts"

const subscribeTogetherMs = 10
const firstBackoffMs = 100
const leaveStaleMs = 500
const returnToStaleMs = 10_000
const longestBackoffMs = 5000
/** More services than this are watched as "all": their names would not fit into a request head. */
const namedServices = 100

export interface DiscoverySourceOptions {
  /** Base URLs of discovery servers; when one is lost the next takes over. */
  urls: readonly string[]
  token?: string
  clock?: Clock
  random?: Random
  /** What was known before, used as suspects until a server has answered. */
  initial?: readonly ServiceSnapshot[]
  log?: (level: "info" | "warn", message: string) => void
}

/** Everything a discovery server knows, over one stream for all services of a process. */
export interface DiscoverySource extends InstanceSource, ServiceCatalog {
  /** Whether the stream is up, to which server, and what broke it last. */
  status(): { connected: boolean; url: string; problem: string | undefined }
  /** What is known now, of every service that was asked for. */
  snapshots(): ServiceSnapshot[]
  /** Idempotent. */
  close(): Promise<void>
}

/** Follows discovery servers for ever: resumes where it was, and goes on with the last known instances while none can be reached. */
export function createDiscoverySource(options: DiscoverySourceOptions): DiscoverySource {
  return new StreamedSource(options)
}

interface Topic {
  view: ServiceView
  /** Whether the stream under way covers it. */
  covered: boolean
  known: boolean
  at: number
  readers: Set<Latest<ServiceSnapshot>>
}

class StreamedSource implements DiscoverySource {
  readonly name = "discovery"
  readonly #urls: readonly string[]
  readonly #options: DiscoverySourceOptions
  readonly #clock: Clock
  readonly #random: Random
  readonly #topics = new Map<string, Topic>()
  readonly #catalogReaders = new Set<Latest<string[]>>()
  readonly #closing = new AbortController()
  #running: Promise<void> | undefined
  #connection: AbortController | undefined
  #lastEventId: string | undefined
  #watchedAll = false
  #server = 0
  #connected = false
  /** Runs while the server says that it does not reach its store. */
  #leaving: Timer | undefined
  /** How many servers in a row were left because of that. */
  #left = 0
  #stale = true
  #problem: string | undefined
  #wake: () => void = () => {}
  #resubscribe: Timer | undefined
  #doubt: Timer | undefined

  constructor(options: DiscoverySourceOptions) {
    this.#urls = options.urls.map(baseUrl)
    if (this.#urls.length === 0) throw new MeshError("invalid_config", "no URL of a discovery server was given")
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    for (const snapshot of options.initial ?? []) this.#remember(snapshot)
  }

  async *watch(service: string, signal: AbortSignal): AsyncGenerator<ServiceSnapshot> {
    const reader = new Latest<ServiceSnapshot>(AbortSignal.any([signal, this.#closing.signal]))
    const topic = this.#topic(service)
    topic.readers.add(reader)
    if (topic.known) reader.put(snapshotOf(topic.view, topic.at, this.#stale || !topic.covered))
    if (!topic.covered) this.#subscribeSoon()
    try {
      yield* reader
    } finally {
      topic.readers.delete(reader)
    }
  }

  async *services(signal: AbortSignal): AsyncGenerator<string[]> {
    const reader = new Latest<string[]>(AbortSignal.any([signal, this.#closing.signal]))
    const first = this.#catalogReaders.size === 0
    this.#catalogReaders.add(reader)
    if (first) this.#subscribeSoon()
    else if (!this.#stale) reader.put(this.#names())
    try {
      yield* reader
    } finally {
      this.#catalogReaders.delete(reader)
    }
  }

  status(): { connected: boolean; url: string; problem: string | undefined } {
    return { connected: this.#connected, url: this.#urls[this.#server] ?? "", problem: this.#problem }
  }

  snapshots(): ServiceSnapshot[] {
    return [...this.#topics.values()].filter((topic) => topic.known).map((topic) => snapshotOf(topic.view, topic.at, this.#stale))
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#connection?.abort()
    this.#resubscribe?.cancel()
    this.#doubt?.cancel()
    this.#wake()
    await this.#running
  }

  #topic(service: string): Topic {
    let topic = this.#topics.get(service)
    if (topic === undefined) {
      topic = { view: emptyView(service), covered: false, known: false, at: 0, readers: new Set() }
      this.#topics.set(service, topic)
    }
    return topic
  }

  #remember(snapshot: ServiceSnapshot): void {
    const topic = this.#topic(snapshot.service)
    const why = "suspect: remembered from before the restart, no discovery server has answered yet"
    const instances = snapshot.instances.map((instance) =>
      instance.standing === "serving" ? { ...instance, standing: "suspect" as const, why } : instance,
    )
    topic.view = { ...topic.view, epoch: "remembered", instances: new Map(instances.map((instance) => [instance.id, instance])) }
    topic.known = true
    topic.at = snapshot.at
  }

  /** Several subscriptions at once cost one reconnection. */
  #subscribeSoon(): void {
    this.#resubscribe ??= this.#clock.timer(subscribeTogetherMs, () => {
      this.#resubscribe = undefined
      this.#connection?.abort("resubscribe")
      this.#wake()
    })
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    let failures = 0
    while (!this.#closing.signal.aborted) {
      if (this.#resubscribe) await new Promise<void>((resolve) => (this.#wake = resolve))
      if (this.#closing.signal.aborted) return
      const connection = new AbortController()
      this.#connection = connection
      try {
        await this.#follow(connection.signal)
        this.#problem = "the server ended the watch"
      } catch (error) {
        this.#problem = error instanceof Error ? error.message : String(error)
      }
      this.#leaving?.cancel()
      this.#leaving = undefined
      const wasConnected = this.#connected
      this.#connected = false
      if (connection.signal.reason === "resubscribe" || this.#closing.signal.aborted) continue
      this.#markStale()
      failures = wasConnected ? 0 : failures + 1
      if (wasConnected || failures === 1) this.#options.log?.("warn", `lost discovery at ${this.#urls[this.#server]}: ${this.#problem}`)
      this.#server = (this.#server + 1) % this.#urls.length
      const bound = Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(failures, 10))
      await this.#pause(firstBackoffMs / 2 + this.#random() * bound)
    }
  }

  async #pause(ms: number): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await sleep(this.#clock, ms, woken.signal)
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const url = this.#urls[this.#server] ?? ""
    const all = this.#catalogReaders.size > 0 || this.#topics.size > namedServices
    const topics = [...this.#topics.values()]
    const fresh = topics.filter((topic) => !topic.covered).map((topic) => topic.view.service)
    const resume = this.#lastEventId
    if (!all && topics.length === 0) return
    // A stream that begins to watch everything must hear of what the narrower one left out.
    const lastEventId = all && !this.#watchedAll ? undefined : resume
    this.#watchedAll = all
    const services = all ? undefined : topics.map((topic) => topic.view.service)
    const { token } = this.#options
    for await (const { id, event } of watchStream({
      url,
      services,
      fresh: lastEventId === undefined || all ? [] : fresh,
      lastEventId,
      token,
      clock: this.#clock,
      signal,
    })) {
      if (!this.#connected) this.#options.log?.("info", `following discovery at ${url}`)
      this.#connected = true
      this.#problem = undefined
      if (event) this.#apply(event)
      if (!this.#stale && (event === undefined || event.event === "change")) this.#left = 0
      if (id !== "") this.#lastEventId = id
    }
  }

  #apply({ event, data }: WatchEvent): void {
    switch (event) {
      case "snapshot":
        return this.#set(this.#topic(data.service), applySnapshot(this.#topic(data.service).view, data, this.#clock.monotonic()))
      case "change": {
        const topic = this.#topic(data.service)
        const view = applyChange(topic.view, data)
        if (view) return this.#set(topic, view)
        topic.covered = false
        return this.#subscribeSoon()
      }
      case "synced":
        return this.#synced(data)
      case "stale":
        this.#leaveSoon()
        return this.#markStale()
      case "fresh":
        this.#leaving?.cancel()
        this.#leaving = undefined
        this.#left = 0
        return this.#markFresh()
      case "reset":
        this.#options.log?.("warn", `the registry counts anew: ${data.why}`)
    }
  }

  /** Turns to another server, which may reach the store; once round at once, and then slowly, because the store itself may be away. */
  #leaveSoon(): void {
    if (this.#urls.length < 2) return
    const ms = this.#left < this.#urls.length - 1 ? leaveStaleMs : returnToStaleMs
    this.#leaving ??= this.#clock
      .timer(ms, () => {
        this.#left++
        this.#connection?.abort(new MeshError("storage_unavailable", "it does not reach its storage"))
      })
      .unref()
  }

  #set(topic: Topic, view: ServiceView): void {
    topic.view = view
    topic.covered = true
    topic.known = true
    topic.at = this.#clock.now()
    this.#tell(topic)
    this.#watchDoubt()
    if (this.#catalogReaders.size > 0) for (const reader of this.#catalogReaders) reader.put(this.#names())
  }

  #synced({ services, epoch, revision, at }: { services?: string[]; epoch: string; revision: number; at: number }): void {
    if (services) {
      const named = new Set(services)
      for (const topic of this.#topics.values()) {
        if (named.has(topic.view.service)) continue
        this.#set(topic, applySnapshot(topic.view, { service: topic.view.service, epoch, revision, at, instances: [] }, this.#clock.monotonic()))
      }
    }
    for (const topic of this.#topics.values()) if (topic.known) topic.covered = true
    this.#markFresh()
  }

  #markStale(): void {
    if (this.#stale) return
    this.#stale = true
    for (const topic of this.#topics.values()) this.#tell(topic)
  }

  #markFresh(): void {
    const news = this.#stale
    this.#stale = false
    if (news) for (const topic of this.#topics.values()) this.#tell(topic)
    for (const reader of this.#catalogReaders) reader.put(this.#names())
  }

  #tell(topic: Topic): void {
    if (!topic.known || topic.readers.size === 0) return
    const snapshot = snapshotOf(topic.view, topic.at, this.#stale)
    for (const reader of topic.readers) reader.put(snapshot)
  }

  #names(): string[] {
    return [...this.#topics.values()].filter((topic) => topic.view.instances.size > 0).map((topic) => topic.view.service)
  }

  /** Lets doubted instances go when their time is over. */
  #watchDoubt(): void {
    this.#doubt?.cancel()
    this.#doubt = undefined
    const times = [...this.#topics.values()].map((topic) => nextExpiry(topic.view)).filter((time) => time !== undefined)
    if (times.length === 0) return
    const wait = Math.max(0, Math.min(...times) - this.#clock.monotonic())
    this.#doubt = this.#clock
      .timer(wait, () => {
        for (const topic of this.#topics.values()) {
          const view = dropExpired(topic.view, this.#clock.monotonic())
          if (view === topic.view) continue
          topic.view = view
          this.#tell(topic)
        }
        this.#watchDoubt()
      })
      .unref()
  }
}
