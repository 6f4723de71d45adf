import type { Clock, Instance, InstanceSource, Random, ServiceSnapshot } from "@meshwork/contract"
import { Listening } from "./listening.ts"
import { createPoller, type PollerOptions, targetsOf, type Verdict, withVerdict } from "@meshwork/health-poller"

export interface ProbedSourceOptions {
  source: InstanceSource
  clock: Clock
  random: Random
  log: (level: "info" | "warn", message: string) => void
  /** How the certificates of https instances are judged. */
  tls?: PollerOptions["tls"]
}

/** A source whose instances are probed here where they declare a check, for those that no registry polls. */
export interface ProbedSource extends InstanceSource {
  /** Ends every probe. Idempotent. */
  close(): Promise<void>
}

/** Probes the services that somebody watches; what the source itself knows to be failing stays failing. */
export function createProbedSource(options: ProbedSourceOptions): ProbedSource {
  return new PolledInstances(options)
}

/** Tells an instance from itself at another address, and from the process before: a verdict is about one of them. */
function identityOf({ id, host, port, boot = "" }: Instance): string {
  return `${id} ${host} ${port} ${boot}`
}

class PolledInstances implements ProbedSource {
  readonly name: string
  readonly #options: ProbedSourceOptions
  readonly #poller: ReturnType<typeof createPoller>
  /** The latest snapshot of each watched service, and who is to be woken by a verdict. */
  readonly #watched = new Map<string, { snapshot: ServiceSnapshot; readers: Set<() => void> }>()
  readonly #verdicts = new Map<string, Map<string, Verdict>>()
  readonly #listening: Listening

  constructor(options: ProbedSourceOptions) {
    const { source, clock, random, tls } = options
    this.name = source.name
    this.#options = options
    this.#listening = new Listening(clock, () => this.#wakeAll())
    this.#poller = createPoller({ clock, random, tls, userAgent: "meshwork-gateway", onVerdict: (verdict) => this.#conclude(verdict) })
  }

  async *watch(service: string, signal: AbortSignal): AsyncGenerator<ServiceSnapshot> {
    const stop = new AbortController()
    const both = AbortSignal.any([signal, stop.signal])
    let news = false
    let failure: unknown
    let wake: () => void = () => {}
    const changed = (): void => {
      news = true
      wake()
    }
    const ended = (): void => wake()
    const following = (async () => {
      try {
        for await (const snapshot of this.#options.source.watch(service, both)) this.#heard(snapshot, changed)
      } catch (error) {
        failure ??= error
        wake()
      }
    })()
    both.addEventListener("abort", ended, { once: true })
    try {
      while (!both.aborted) {
        if (news) {
          news = false
          const snapshot = this.#view(service)
          if (snapshot !== undefined) yield snapshot
        } else if (failure !== undefined) throw failure
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      stop.abort()
      await following
      this.#left(service, changed)
    }
  }

  async close(): Promise<void> {
    this.#listening.close()
    await this.#poller.close()
  }

  #wakeAll(): void {
    for (const { readers } of this.#watched.values()) for (const wake of readers) wake()
  }

  #heard(snapshot: ServiceSnapshot, reader: () => void): void {
    const { service, instances } = snapshot
    const readers = this.#watched.get(service)?.readers ?? new Set()
    this.#watched.set(service, { snapshot, readers: readers.add(reader) })
    const present = new Set(instances.map(identityOf))
    const verdicts = this.#verdicts.get(service)
    for (const identity of verdicts?.keys() ?? []) if (!present.has(identity)) verdicts?.delete(identity)
    this.#sync()
    for (const wake of readers) wake()
  }

  #left(service: string, reader: () => void): void {
    const watched = this.#watched.get(service)
    watched?.readers.delete(reader)
    if (watched === undefined || watched.readers.size > 0) return
    this.#watched.delete(service)
    this.#verdicts.delete(service)
    this.#sync()
  }

  #sync(): void {
    const all = [...this.#watched.values()].flatMap(({ snapshot }) => snapshot.instances)
    this.#listening.sync(all.filter(isUnknown).map((instance) => ({ identity: identityOf(instance), host: instance.host, port: instance.port })))
    const instances = all.filter(isProbed)
    // The identity goes along as the process that is probed, so that a late verdict about another address is recognised.
    this.#poller.sync(targetsOf(instances.map((instance) => ({ ...instance, boot: identityOf(instance) }))))
  }

  #conclude(verdict: Verdict): void {
    const watched = this.#watched.get(verdict.service)
    const instance = watched?.snapshot.instances.find((each) => identityOf(each) === verdict.boot)
    if (watched === undefined || instance === undefined || verdict.boot === undefined) return
    const before = this.#overlay(instance)
    const verdicts = this.#verdicts.get(verdict.service) ?? new Map<string, Verdict>()
    this.#verdicts.set(verdict.service, verdicts.set(verdict.boot, verdict))
    const { standing, why } = this.#overlay(instance)
    if (standing !== before.standing) {
      this.#options.log(standing === "serving" ? "info" : "warn", `${verdict.service} ${verdict.id} is ${standing}: ${why}`)
    }
    for (const wake of watched.readers) wake()
  }

  #view(service: string): ServiceSnapshot | undefined {
    const snapshot = this.#watched.get(service)?.snapshot
    return snapshot && { ...snapshot, instances: snapshot.instances.map((instance) => this.#overlay(instance)) }
  }

  #overlay(instance: Instance): Instance {
    if (isUnknown(instance) && !this.#listening.has(identityOf(instance))) {
      return { ...instance, standing: "suspect", why: "its container runs, but nothing was seen to listen in it yet" }
    }
    const verdict = this.#verdicts.get(instance.service)?.get(identityOf(instance))
    if (verdict === undefined || !isProbed(instance)) return instance
    return withVerdict(instance, verdict, this.#options.clock.now(), "gateway")
  }
}

function isProbed(instance: Instance): boolean {
  return instance.check !== undefined && instance.health.status !== "failing"
}

/** Whether nothing but that it runs speaks for an instance. */
function isUnknown({ check, health, standing }: Instance): boolean {
  return check === undefined && health.status === "unknown" && standing === "serving"
}
