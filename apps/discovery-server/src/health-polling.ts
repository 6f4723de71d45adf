import { checkSchema, keyText, sleep, type Clock, type InstanceKey, type Probing, type Random } from "@meshwork/contract"
import {
  createPoller,
  createProbe,
  targetsOf,
  type Packet,
  type PollerStatistics,
  type PollState,
  type PollTarget,
  type Trouble,
  type Verdict,
} from "@meshwork/health-poller"
import type { Registry } from "@meshwork/registry-core"
import type { Logger } from "pino"

/** How soon after a rebuild of the targets the next one may follow, ms; more when rebuilding itself takes long. */
const restMs = 50
/** How long to wait before a verdict that the registry could not take is offered again, ms. */
const retryMs = 1000

/** The link between a registry and a poller. */
export interface HealthPolling {
  /** The latest probes of an instance, oldest first, read as they are taken; empty where another server makes them. */
  history(key: InstanceKey, limit?: number): Iterable<Packet>
  /** Where probing an instance stands; absent for one without a check, and where another server probes it. */
  state(key: InstanceKey): PollState | undefined
  /** How probing an instance goes, for whoever asks about it; absent for one without a check. */
  probing(key: InstanceKey): Probing | undefined
  /** URL of the server that probes an instance, where that is another one. */
  polledBy(key: InstanceKey): string | undefined
  /** Figures of the poller, for metrics. */
  statistics(): PollerStatistics
  /** Ends every probe. Idempotent. */
  close(): Promise<void>
}

export interface HealthPollingOptions {
  registry: Registry
  clock: Clock
  random: Random
  log: Logger
}

/** Probes every instance of a registry that declares a check and is this server's to probe, and reports the verdicts to it. */
export function startHealthPolling(options: HealthPollingOptions): HealthPolling {
  return new RegistryPolling(options)
}

/** Asks whether something still listens, for suspects without a check: false only when the port refuses. */
export function createSuspectProbe(clock: Clock): (target: { host: string; port: number }) => Promise<boolean> {
  const probe = createProbe({ clock, userAgent: "meshwork-health" })
  const check = checkSchema.parse({ method: "ping", timeoutSeconds: 1 })
  return async ({ host, port }) => {
    const result = await probe({ host, port, scheme: "tcp", check }, new AbortController().signal)
    return result.refused !== true
  }
}

class RegistryPolling implements HealthPolling {
  readonly #registry: Registry
  readonly #clock: Clock
  readonly #log: Logger
  readonly #poller: ReturnType<typeof createPoller>
  readonly #watch: ReturnType<Registry["watch"]>
  readonly #undivided: () => void
  readonly #targets = new Map<string, { revision: number; targets: PollTarget[] }>()
  /** The latest verdict of each instance until the registry has taken it. */
  readonly #unreported = new Map<string, Verdict>()
  readonly #stop = new AbortController()
  #retrying: Promise<void> | undefined
  #pending = false
  #restUntil = 0

  constructor({ registry, clock, random, log }: HealthPollingOptions) {
    this.#registry = registry
    this.#clock = clock
    this.#log = log
    this.#poller = createPoller({
      clock,
      random,
      onVerdict: (verdict) => void this.#report(verdict),
      onTrouble: ({ kind, present, message }: Trouble) => log[present ? "warn" : "info"]({ kind }, message),
    })
    this.#undivided = registry.onDivided(() => this.#changed())
    // From here on only: what is there already is read as lists, and nothing is serialised for it.
    this.#watch = registry.watch({ resume: registry.position }, () => this.#changed())
    this.#refresh()
  }

  history(key: InstanceKey, limit?: number): Iterable<Packet> {
    return this.#poller.history(key, limit)
  }

  state(key: InstanceKey): PollState | undefined {
    return this.#poller.state(key)
  }

  probing(key: InstanceKey): Probing | undefined {
    const state = this.#poller.state(key)
    if (state === undefined) {
      const by = this.polledBy(key)
      return by === undefined || this.#registry.get(key)?.check === undefined ? undefined : { by, next: `ask ${by}, which probes it` }
    }
    const { since: _since, lastCheckedAt: _checked, lastFailureAt: _failed, ...probing } = state
    return probing
  }

  statistics(): PollerStatistics {
    return this.#poller.statistics()
  }

  polledBy(key: InstanceKey): string | undefined {
    return this.#registry.probes(key) ? undefined : this.#registry.prober(key)?.url
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#watch.close()
    this.#undivided()
    await this.#poller.close()
    await this.#retrying
  }

  #changed(): void {
    if (this.#pending || this.#stop.signal.aborted) return
    this.#pending = true
    const wait = this.#restUntil - this.#clock.monotonic()
    this.#clock
      .timer(Math.max(0, wait), () => {
        this.#pending = false
        if (!this.#stop.signal.aborted) this.#refresh()
      })
      .unref()
  }

  /** Reads the services that changed since the last time and hands all targets to the poller. */
  #refresh(): void {
    const begin = this.#clock.monotonic()
    this.#watch.take()
    // The others count a server that does not reach the store as gone, and probe in its place; nor could it store what it found.
    this.#poller.pause(this.#registry.staleSince() !== undefined)
    const services = this.#registry.services()
    const present = new Set<string>()
    for (const { name, revision } of services) {
      present.add(name)
      if (this.#targets.get(name)?.revision === revision) continue
      const list = this.#registry.list(name)
      this.#targets.set(name, { revision: list.revision, targets: targetsOf(list.instances) })
    }
    for (const name of this.#targets.keys()) if (!present.has(name)) this.#targets.delete(name)
    this.#poller.sync([...this.#targets.values()].flatMap(({ targets }) => targets.filter((target) => this.#registry.probes(target))))
    const end = this.#clock.monotonic()
    this.#restUntil = end + Math.max(restMs, (end - begin) * 10)
  }

  async #report(verdict: Verdict): Promise<void> {
    const key = keyText(verdict)
    // Who takes this one's place may know better by now.
    if (!this.#registry.probes(verdict)) return void this.#unreported.delete(key)
    this.#unreported.set(key, verdict)
    if (this.#registry.staleSince() !== undefined) return void (this.#retrying ??= this.#retry())
    const { service, id, ...report } = verdict
    try {
      await this.#registry.reportHealth({ service, id }, { ...report, by: "poller" })
      if (this.#unreported.get(key) === verdict) this.#unreported.delete(key)
    } catch (error) {
      if (this.#stop.signal.aborted || this.#unreported.get(key) !== verdict) return
      this.#log.warn({ err: error, service, id }, "a verdict could not be stored, it is offered again")
      this.#retrying ??= this.#retry()
    }
  }

  /** Offers again what the registry could not take, until nothing is left. */
  async #retry(): Promise<void> {
    while (this.#unreported.size > 0 && !this.#stop.signal.aborted) {
      await sleep(this.#clock, retryMs, this.#stop.signal)
      if (!this.#stop.signal.aborted) await Promise.all([...this.#unreported.values()].map((verdict) => this.#report(verdict)))
    }
    this.#retrying = undefined
  }
}
