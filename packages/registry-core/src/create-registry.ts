import {
  type Beat,
  type Instance,
  type InstanceDetail,
  type InstanceKey,
  type InstancePatch,
  type InstanceRecord,
  type JournalEntry,
  keyText,
  MeshError,
  type Origin,
  type WatchToken,
} from "@meshwork/contract"
import { Changes, type Wish } from "./changes.ts"
import { Claims } from "./claims.ts"
import { Division } from "./division.ts"
import { LeaseChanges } from "./lease-changes.ts"
import { LeaseKeeper } from "./lease-keeper.ts"
import { LeaseClock } from "./lease-clock.ts"
import type {
  CheckIn,
  HealthReport,
  HeartbeatReply,
  RegistrationSource,
  Registry,
  RegistryLimits,
  RegistryOptions,
  RegistryStatistics,
  ServiceSummary,
  Watch,
  WatchOptions,
} from "./registry.ts"
import { RegistryReads } from "./registry-reads.ts"
import { RegistryState } from "./registry-state.ts"
import { reported } from "./rules/health.ts"
import { describePatch, patched } from "./rules/patch.ts"
import { registered } from "./rules/register.ts"
import type { Entry } from "./service-view.ts"
import { SharedFeed } from "./shared-feed.ts"
import type { RegistryStorage, ServerInfo, SharedStorage, StorageNews, StoredState } from "./storage-port.ts"
import { WatchHub } from "./watch-hub.ts"

/** Opens a registry over a storage; rejects as the storage's `open` does. */
export async function createRegistry(options: RegistryOptions): Promise<Registry> {
  const opened = await options.storage.open()
  const registry = new StoredRegistry(options, opened)
  await registry.start(opened)
  return registry
}

/** How long the store may say nothing before no lease is ended, because others may have heard an instance and could not say so, ms. */
const longestSilenceMs = 2000

class StoredRegistry implements Registry {
  readonly #options: RegistryOptions
  readonly #limits: Required<RegistryLimits>
  readonly #leases: LeaseClock
  readonly #state: RegistryState
  readonly #hub: WatchHub
  readonly #changes: Changes
  /** What changes without being asked for. */
  readonly #own: LeaseChanges
  readonly #keeper: LeaseKeeper
  readonly #reads: RegistryReads
  readonly #division: Division
  readonly #claims: Claims
  /** What a shared storage tells; undefined for one that this server has for itself. */
  readonly #feed: SharedFeed | undefined
  readonly #dividedListeners = new Set<() => void>()
  /** Registrations of unknown instances on their way. */
  #arriving = 0
  #heartbeats = 0
  #closing: Promise<void> | undefined

  constructor(options: RegistryOptions, opened: StoredState) {
    this.#options = options
    this.#limits = { instances: 200_000, services: 20_000, watchers: 20_000, ...options.limits }
    this.#leases = new LeaseClock(options.clock)
    const { clock, storage, server, log } = options
    const shared = isShared(storage)
    this.#division = new Division(server.id, shared)
    this.#state = new RegistryState(
      this.#leases,
      this.#division,
      () => clock.now(),
      (service) => this.#hub.changed(service),
    )
    this.#hub = new WatchHub(this.#state, clock, this.#limits.watchers)
    this.#changes = new Changes({
      clock,
      storage,
      ...(log === undefined ? {} : { log }),
      leases: this.#leases,
      state: this.#state,
      feed: shared ? () => this.#feed as SharedFeed : undefined,
      suspected: (entry) => this.#keeper.leased(entry),
    })
    this.#state.load(opened)
    this.#own = new LeaseChanges({ state: this.#state, changes: this.#changes, self: server.id, shared, deciding: () => this.#isDeciding() })
    this.#claims = new Claims({
      state: this.#state,
      division: this.#division,
      self: server.id,
      now: () => this.#leases.now(),
      reached: () => this.#feed?.staleForMs === undefined,
      silenceMs: () => this.#feed?.silenceMs ?? 0,
      claim: (entry) => this.#own.claim(entry),
    })
    this.#keeper = new LeaseKeeper({
      clock,
      leases: this.#leases,
      state: this.#state,
      probeSuspect: options.probeSuspect,
      remove: (entry, why, renewedAt) => this.#own.end(entry, why, renewedAt),
      suspect: (entry, suspicion, renewedAt) => this.#own.hold(entry, suspicion, renewedAt),
      ...(shared
        ? { shared: true, silenceMs: () => this.#feed?.silenceMs ?? 0 }
        : { signOfLife: () => this.#changes.signOfLife(), grant: (entry: Entry, renewedAt: number) => this.#changes.touch(entry, renewedAt) }),
      tell: (entry) => (shared ? this.#own.tell(entry) : this.#changes.touch(entry)),
      deciding: () => this.#isDeciding(),
      ticked: () => this.#claims.tick(),
    })
    this.#reads = new RegistryReads({ state: this.#state, keeper: this.#keeper, leases: this.#leases, clock })
    if (!shared) return
    this.#feed = new SharedFeed(
      {
        storage,
        self: server,
        clock,
        news: (news) => this.#told(news),
        servers: (servers) => this.#divide(servers),
        reached: (staleSince) => this.#reached(staleSince),
        resumed: () => this.#state.spare(),
        log: (level, message, fields) => this.#log(level, message, fields),
      },
      opened,
    )
  }

  /** Ends the leases that ran out before the last stop, and begins to keep the others. */
  async start(opened: StoredState): Promise<void> {
    this.#changes.skip(opened.problems)
    await this.#keeper.start(opened.lastAliveAt)
    this.#feed?.start()
  }

  get position(): WatchToken {
    return this.#state.position
  }

  readiness(): { ready: boolean; reasons: string[] } {
    const fault = this.#changes.fault
    const reasons = [...this.#changes.problems.values()].map((problem) => `stored record ${problem.key} was skipped: ${problem.message}`)
    if (!this.#division.announced) reasons.unshift("not announced to the other servers yet: no lease is ended here")
    if (fault) reasons.unshift(fault.message)
    if (this.#closing) reasons.unshift("closing")
    return { ready: fault === undefined && this.#closing === undefined, reasons }
  }

  async register(
    key: InstanceKey,
    registration: RegistrationSource,
    from: { origin: Origin; by: string },
  ): Promise<{ instance: Instance; created: boolean }> {
    const known = this.#state.entry(key)
    if (known) this.#renew(known)
    else this.#checkLimits(key)
    const arriving = known ? 0 : 1
    this.#arriving += arriving
    try {
      return await this.#register(key, registration, from)
    } finally {
      this.#arriving -= arriving
    }
  }

  async #register(
    key: InstanceKey,
    registration: RegistrationSource,
    from: { origin: Origin; by: string },
  ): Promise<{ instance: Instance; created: boolean }> {
    let created = false
    const rule = (current: InstanceRecord | undefined): Wish => {
      created = current === undefined
      const now = this.#options.clock.now()
      const sent = typeof registration === "function" ? registration(current) : registration
      const record = registered(current, key, sent, { origin: from.origin, now, keeper: this.#options.server.id, shared: this.#feed !== undefined })
      const successor = current !== undefined && sent.boot !== undefined && current.boot !== sent.boot
      const why = created ? "first registration" : successor ? "another process took its place" : "registered anew"
      // What a newer version wrote is over when its process is.
      return { put: record, what: created ? "registered" : successor ? "replaced" : "updated", why, replaces: successor }
    }
    const entry = await this.#changes.make(key, from.by, rule)
    if (entry === undefined) throw new MeshError("conflict", `${keyText(key)} was removed while it registered`)
    this.#heard(entry)
    this.#keeper.leased(entry)
    return { instance: entry.instance, created }
  }

  heartbeat(beat: Beat): HeartbeatReply {
    const entry = this.#state.entry(beat)
    if (this.#feed?.staleForMs !== undefined) {
      // What it knows may be old news: neither to be denied nor to be promised anything.
      if (entry !== undefined && (beat.boot === undefined || entry.record.boot === beat.boot)) this.#renew(entry)
      return { status: 202 }
    }
    if (entry === undefined || (beat.boot !== undefined && entry.record.boot !== beat.boot)) return { status: 404 }
    // Too late to be kept: registering again at once beats being gone until the next heartbeat.
    if (this.#own.isLeaving(beat)) {
      this.#renew(entry)
      return { status: 404 }
    }
    this.#heartbeats++
    if (beat.load) entry.load = beat.load
    if (!this.#heard(entry)) return { status: 202 }
    return { status: 200, expiresAt: this.#reads.expiresAt(entry) }
  }

  async patch(key: InstanceKey, patch: InstancePatch, from: { by: string; boot?: string }): Promise<Instance> {
    const entry = await this.#changes.make(key, from.by, (current) => {
      this.#refuseOtherProcess(key, current, from.boot)
      const record = patched(current, patch, { by: from.by, own: from.boot !== undefined, now: this.#options.clock.now() })
      return { put: record, what: "patched", why: describePatch(patch, from.boot !== undefined) }
    })
    if (entry === undefined) throw notRegistered(key)
    return entry.instance
  }

  async deregister(key: InstanceKey, from: { by: string; boot?: string; why?: string }): Promise<void> {
    await this.#changes.make(key, from.by, (current) => {
      this.#refuseOtherProcess(key, current, from.boot)
      return {
        delete: true,
        what: "deregistered",
        why: from.why ?? (from.boot === undefined ? "deregistered on request" : "the process deregistered itself"),
      }
    })
  }

  async reportHealth(key: InstanceKey, report: HealthReport): Promise<void> {
    // A probe that merely got no answer proves nothing; whoever can tell a refusal from silence is asked instead.
    const disproves = this.#options.probeSuspect === undefined
    await this.#changes.make(key, report.by, (current) => reported(current, report, { now: this.#options.clock.now(), disproves }))
  }

  services(): ServiceSummary[] {
    return this.#reads.services()
  }

  list(service: string): { revision: number; instances: readonly Instance[] } {
    return this.#reads.list(service)
  }

  checkIns(service: string): CheckIn[] {
    return this.#reads.checkIns(service)
  }

  get(key: InstanceKey): InstanceDetail | undefined {
    return this.#reads.get(key)
  }

  findByRepo(repo: string): Instance[] {
    return this.#reads.findByRepo(repo)
  }

  watch(options: WatchOptions, wake: () => void): Watch {
    return this.#hub.watch(options, wake)
  }

  staleSince(): number | undefined {
    const staleForMs = this.#feed?.staleForMs
    return staleForMs === undefined ? undefined : this.#options.clock.now() - staleForMs
  }

  probes(key: InstanceKey): boolean {
    return this.#division.probes(key)
  }

  prober(key: InstanceKey): ServerInfo | undefined {
    return this.#feed === undefined ? this.#options.server : this.#division.prober(key)
  }

  onDivided(listener: () => void): () => void {
    this.#dividedListeners.add(listener)
    return () => this.#dividedListeners.delete(listener)
  }

  servers(): readonly ServerInfo[] {
    return this.#feed === undefined ? [this.#options.server] : this.#division.servers
  }

  journal(filter: { service?: string; id?: string; limit: number }): JournalEntry[] {
    return this.#state.journal.read(filter)
  }

  statistics(): RegistryStatistics {
    const { services, instances, journal } = this.#state
    return { services, instances, watchers: this.#hub.size, heartbeats: this.#heartbeats, changes: journal.counts }
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      // What the storage is told last would be refused while it has not answered for long.
      await this.#changes.settled()
      this.#keeper.stop()
      this.#hub.close()
      await this.#changes.close()
      await this.#feed?.close()
      await this.#options.storage.close()
    })()
    return this.#closing
  }

  #renew(entry: Entry): void {
    entry.renewedAt = this.#leases.now()
    entry.renewedWall = this.#options.clock.now()
    delete entry.countedSince
    delete entry.notBefore
    this.#keeper.renewed(entry)
  }

  /** Takes note of a sign of life; false where it may be in vain, because the store does not take it from here. */
  #heard(entry: Entry): boolean {
    this.#renew(entry)
    if (entry.record.suspect !== undefined) void this.#own.claim(entry)
    return this.#feed === undefined || this.#claims.heard(entry)
  }

  #told(news: StorageNews): void {
    if ("reset" in news) {
      this.#changes.skip(news.reset.problems)
      const goesOn = this.#state.replace(news.reset, this.#options.clock.now())
      this.#log("warn", goesOn ? "the storage had to be read again" : "the storage counts anew: it lost its data, or was restored")
      if (!goesOn) this.#hub.reset("the storage of this registry counts anew")
      this.#state.divide()
    } else {
      if (news.problems) this.#changes.skip(news.problems)
      for (const change of news.changes) this.#changes.tell(change)
      this.#state.advance(news.revision)
    }
    this.#hub.advanced()
  }

  #divide(servers: readonly ServerInfo[]): void {
    const before = new Set(this.#division.servers.map(({ id }) => id))
    if (!this.#division.update(servers)) return
    for (const entry of this.#state.divide()) {
      const { keeper } = entry.record
      if (keeper !== undefined && before.has(keeper) && !this.#division.has(keeper)) void this.#own.inherit(entry)
    }
    this.#log("info", "discovery servers over this storage", { servers: servers.map(({ url }) => url) })
    for (const listener of this.#dividedListeners) listener()
  }

  #reached(staleSince: number | undefined): void {
    // Heartbeats may have gone elsewhere meanwhile, and who heard them may be a moment behind.
    if (staleSince === undefined) {
      this.#claims.forgetOld()
      this.#state.renewAll("the storage was reached again")
    }
    this.#hub.stale(staleSince)
  }

  /** Whether this server may end leases now, and knows which ones. */
  #isDeciding(): boolean {
    return (this.#feed?.silenceMs ?? 0) < longestSilenceMs && this.#division.announced
  }

  #checkLimits(key: InstanceKey): void {
    const { instances, services } = this.#limits
    if (this.#state.instances + this.#arriving >= instances) throw new MeshError("limit_exceeded", `the limit of ${instances} instances is reached`)
    if ((this.#state.view(key.service)?.entries.size ?? 0) === 0 && this.#state.services >= services) {
      throw new MeshError("limit_exceeded", `the limit of ${services} services is reached`)
    }
  }

  #refuseOtherProcess(key: InstanceKey, current: InstanceRecord | undefined, boot: string | undefined): asserts current is InstanceRecord {
    if (current === undefined) throw notRegistered(key)
    if (boot !== undefined && current.boot !== boot) throw new MeshError("not_found", `${keyText(key)} is registered by another process now`)
  }

  #log(level: "info" | "warn" | "error", message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#options.log?.(level, message, fields)
  }
}

function isShared(storage: RegistryStorage): storage is SharedStorage {
  return "changes" in storage && "servers" in storage
}

function notRegistered(key: InstanceKey): MeshError {
  return new MeshError("not_found", `${keyText(key)} is not registered`)
}
