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
  recordFormat,
  type Suspicion,
  type WatchToken,
} from "@meshwork/contract"
import { Changes, type Wish } from "./changes.ts"
import { Claims } from "./claims.ts"
import { Division } from "./division.ts"
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
import { RegistryState } from "./registry-state.ts"
import { describePatch, patched } from "./rules/patch.ts"
import { told } from "./rules/renewal.ts"
import { registered } from "./rules/register.ts"
import type { Entry, ServiceView } from "./service-view.ts"
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
  readonly #keeper: LeaseKeeper
  readonly #division: Division
  readonly #claims: Claims
  /** What a shared storage tells; undefined for one that this server has for itself. */
  readonly #feed: SharedFeed | undefined
  readonly #dividedListeners = new Set<() => void>()
  /** Instances whose removal is being stored because their lease ran out. */
  readonly #leaving = new Set<string>()
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
    this.#claims = new Claims({
      state: this.#state,
      division: this.#division,
      self: server.id,
      now: () => this.#leases.now(),
      reached: () => this.#feed?.staleForMs === undefined,
      silenceMs: () => this.#feed?.silenceMs ?? 0,
      claim: (entry) => this.#claim(entry),
    })
    this.#keeper = new LeaseKeeper({
      clock,
      leases: this.#leases,
      state: this.#state,
      probeSuspect: options.probeSuspect,
      remove: (entry, why, renewedAt) => this.#end(entry, why, renewedAt),
      suspect: (entry, suspicion, renewedAt) => this.#hold(entry, suspicion, renewedAt),
      ...(shared
        ? { shared: true, silenceMs: () => this.#feed?.silenceMs ?? 0 }
        : { signOfLife: () => this.#changes.signOfLife(), grant: (entry: Entry, renewedAt: number) => this.#changes.touch(entry, renewedAt) }),
      tell: (entry) => (shared ? this.#tell(entry) : this.#changes.touch(entry)),
      deciding: () => this.#isDeciding(),
      ticked: () => this.#claims.tick(),
    })
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
    if (this.#leaving.size > 0 && this.#leaving.has(keyText(beat))) {
      this.#renew(entry)
      return { status: 404 }
    }
    this.#heartbeats++
    if (beat.load) entry.load = beat.load
    if (!this.#heard(entry)) return { status: 202 }
    return { status: 200, expiresAt: this.#expiresAt(entry) }
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
    await this.#changes.make(key, report.by, (current) => {
      if (current === undefined || current.format > recordFormat || (report.boot !== undefined && current.boot !== report.boot)) return undefined
      const { status, reason, by, availability, penalty } = report
      if (current.health.status === status && current.health.availability === availability) return undefined
      const now = this.#options.clock.now()
      const since = current.health.status === status ? current.health.since : now
      const kept = current.health.status === status ? current.health.reason : reason
      const { penalty: _before, ...known } = current.health
      const measured = { ...(availability === undefined ? {} : { availability }), ...(penalty === undefined ? {} : { penalty }) }
      const health = { ...known, status, since, reason: kept, by, ...measured }
      const { suspect, ...rest } = current
      // A probe that merely got no answer proves nothing; whoever can tell a refusal from silence is asked instead.
      const disproved = suspect !== undefined && status === "failing" && this.#options.probeSuspect === undefined
      if (disproved) return { delete: true, what: "expired", why: `${suspect.reason}; then a probe failed: ${reason}` }
      const put = suspect === undefined ? { ...rest, health } : { ...rest, suspect, health }
      const { status: before, availability: share } = current.health
      if (before !== status) return { put, what: status, why: reason }
      return { put, what: "availability", why: `${percent(availability)} of its probes succeed, before ${percent(share)}` }
    })
  }

  services(): ServiceSummary[] {
    const now = this.#leases.now()
    const summaries: ServiceSummary[] = []
    for (const view of this.#state.views()) {
      const live = this.#live(view, now)
      if (live.length === 0) continue
      const serving = live === view.instances() ? view.serving() : live.filter((instance) => instance.standing === "serving").length
      summaries.push({ name: view.name, instances: live.length, serving, revision: view.revision })
    }
    return summaries.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  list(service: string): { revision: number; instances: readonly Instance[] } {
    const view = this.#state.view(service)
    if (view === undefined) return { revision: this.#state.floor, instances: [] }
    return { revision: view.revision, instances: this.#live(view, this.#leases.now()) }
  }

  checkIns(service: string): CheckIn[] {
    const now = this.#leases.now()
    const entries = this.#state.view(service)?.sorted() ?? []
    return entries.filter((entry) => !this.#isOver(entry, now)).map(({ instance, renewedWall }) => ({ instance, at: renewedWall }))
  }

  get(key: InstanceKey): InstanceDetail | undefined {
    const entry = this.#state.entry(key)
    const view = this.#state.view(key.service)
    if (entry === undefined || view === undefined || this.#keeper.over(view, this.#leases.now()).has(key.id)) return undefined
    const { ttlSeconds, override } = entry.record
    const lease = { ttlSeconds, renewedAt: entry.renewedWall, expiresAt: this.#expiresAt(entry) }
    return { ...entry.instance, lease, ...(entry.load ? { load: entry.load } : {}), ...(override ? { override } : {}) }
  }

  findByRepo(repo: string): Instance[] {
    const now = this.#leases.now()
    return [...this.#state.views()]
      .flatMap((view) => this.#live(view, now))
      .filter((instance) => instance.repo === repo)
      .sort((a, b) => (keyText(a) < keyText(b) ? -1 : 1))
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

  /** Whether the lease of an instance ran out, as far as that is for this server to know: otherwise its keeper says so. */
  #isOver(entry: Entry, now: number): boolean {
    return (entry.kept || entry.record.suspect !== undefined) && this.#keeper.overdue(entry, now)
  }

  #live(view: ServiceView, now: number): readonly Instance[] {
    if (now <= view.nextDueAt) return view.instances()
    const over = this.#keeper.over(view, now)
    return over.size === 0 ? view.instances() : view.instances().filter((instance) => !over.has(instance.id))
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
    if (entry.record.suspect !== undefined) void this.#claim(entry)
    return this.#feed === undefined || this.#claims.heard(entry)
  }

  /** Makes this server the keeper of an instance that it heard; a suspect serves again. */
  async #claim(heard: Entry): Promise<void> {
    const { record } = heard
    const keeper =
      record.ttlSeconds > 0 && this.#feed !== undefined
        ? { keeper: this.#options.server.id, ...this.#toldOf(this.#state.entry(record) ?? heard) }
        : {}
    const rule = (current: InstanceRecord | undefined): Wish => {
      if (current === undefined || current.boot !== record.boot || (current.suspect === undefined && current.keeper !== record.keeper))
        return undefined
      const { suspect, ...rest } = current
      const put = { ...rest, ...keeper }
      if (suspect !== undefined) return { put, what: "heard", why: "a heartbeat came: no longer suspect" }
      return { put, what: "taken over", why: "heard here, not by its keeper", claims: true }
    }
    await this.#changes.attempt(this.#changes.make(record, "registry", rule))
  }

  /** Makes this server the keeper of an instance whose keeper is gone, so that the time it is given does not begin anew when that one returns. */
  async #inherit({ record }: Entry): Promise<void> {
    const rule = (current: InstanceRecord | undefined): Wish =>
      current === undefined || current.boot !== record.boot || current.keeper !== record.keeper
        ? undefined
        : { put: { ...current, keeper: this.#options.server.id }, what: "taken over", why: "its keeper is gone", claims: true }
    await this.#changes.attempt(this.#changes.make(record, "registry", rule))
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
      if (keeper !== undefined && before.has(keeper) && !this.#division.has(keeper)) void this.#inherit(entry)
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

  /** Removes an instance, unless a heartbeat or a successor arrived after that was decided: they have the last word. */
  async #end(entry: Entry, why: string, renewedAt: number): Promise<void> {
    const { record } = entry
    const text = keyText(record)
    const rule = (current: InstanceRecord | undefined): Wish => {
      this.#leaving.delete(text)
      if (!this.#isSilent(record, current, renewedAt)) return undefined
      this.#leaving.add(text)
      return { delete: true, what: "expired", why, stands: () => this.#isSilent(record, current, renewedAt) }
    }
    await this.#changes.attempt(this.#changes.make(record, "registry", rule))
    this.#leaving.delete(text)
  }

  async #hold(entry: Entry, suspect: Suspicion, renewedAt: number): Promise<void> {
    const { record } = entry
    const rule = (current: InstanceRecord | undefined): Wish =>
      this.#isSilent(record, current, renewedAt) && current.suspect === undefined
        ? {
            put: { ...current, ...this.#toldOf(entry), suspect },
            what: "suspected",
            why: suspect.reason,
            stands: () => this.#isSilent(record, current, renewedAt),
          }
        : undefined
    await this.#changes.attempt(this.#changes.make(record, "registry", rule))
  }

  /** What a store of several servers is told of the renewal of a long lease. */
  #toldOf({ record, renewedWall }: Entry): { renewedAt?: number } {
    return this.#feed === undefined ? {} : told(record, renewedWall)
  }

  /** Tells a store of several servers when an instance with a long lease was heard; whether it took it. */
  async #tell(entry: Entry): Promise<boolean> {
    const { record } = entry
    const rule = (current: InstanceRecord | undefined): Wish =>
      current === undefined || current.boot !== record.boot || current.keeper !== this.#options.server.id
        ? undefined
        : { put: { ...current, ...this.#toldOf(entry) }, what: "renewed", why: "heard by its keeper", claims: true }
    try {
      await this.#changes.make(record, "registry", rule)
      return true
    } catch {
      return false
    }
  }

  #isSilent(record: InstanceRecord, current: InstanceRecord | undefined, renewedAt: number): current is InstanceRecord {
    const entry = this.#state.entry(record)
    return (
      entry?.renewedAt === renewedAt &&
      entry.kept &&
      this.#isDeciding() &&
      current !== undefined &&
      current.boot === record.boot &&
      current.keeper === record.keeper
    )
  }

  /** Whether this server may end leases now, and knows which ones. */
  #isDeciding(): boolean {
    return (this.#feed?.silenceMs ?? 0) < longestSilenceMs && this.#division.announced
  }

  #expiresAt(entry: Entry): number | null {
    // When its keeper heard it last is known there alone; this is the latest that can be.
    const end = entry.kept || entry.record.ttlSeconds === 0 ? this.#keeper.end(entry) : this.#leases.now() + entry.record.ttlSeconds * 1000
    return end === Number.POSITIVE_INFINITY ? null : Math.round(this.#options.clock.now() + end - this.#leases.now())
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

function percent(share: number | undefined): string {
  return share === undefined ? "an unknown share" : `${Math.round(share * 100)} %`
}
