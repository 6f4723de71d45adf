import { type Clock, type Instance, type InstanceDetail, type InstanceKey, keyText } from "@meshwork/contract"
import type { LeaseClock } from "./lease-clock.ts"
import type { LeaseKeeper } from "./lease-keeper.ts"
import type { CheckIn, ServiceSummary } from "./registry.ts"
import type { RegistryState } from "./registry-state.ts"
import type { Entry, ServiceView } from "./service-view.ts"

export interface RegistryReadsOptions {
  state: RegistryState
  keeper: LeaseKeeper
  leases: LeaseClock
  clock: Clock
}

/** What a registry answers; nobody whose lease is over is in it, whether or not that has been stored. */
export class RegistryReads {
  readonly #options: RegistryReadsOptions

  constructor(options: RegistryReadsOptions) {
    this.#options = options
  }

  services(): ServiceSummary[] {
    const { state, leases } = this.#options
    const now = leases.now()
    const summaries: ServiceSummary[] = []
    for (const view of state.views()) {
      const live = this.#live(view, now)
      if (live.length === 0) continue
      const serving = live === view.instances() ? view.serving() : live.filter((instance) => instance.standing === "serving").length
      summaries.push({ name: view.name, instances: live.length, serving, revision: view.revision })
    }
    return summaries.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  list(service: string): { revision: number; instances: readonly Instance[] } {
    const { state, leases } = this.#options
    const view = state.view(service)
    if (view === undefined) return { revision: state.floor, instances: [] }
    return { revision: view.revision, instances: this.#live(view, leases.now()) }
  }

  checkIns(service: string): CheckIn[] {
    const { state, leases } = this.#options
    const now = leases.now()
    const entries = state.view(service)?.sorted() ?? []
    return entries.filter((entry) => !this.#isOver(entry, now)).map(({ instance, renewedWall }) => ({ instance, at: renewedWall }))
  }

  get(key: InstanceKey): InstanceDetail | undefined {
    const { state, keeper, leases } = this.#options
    const entry = state.entry(key)
    const view = state.view(key.service)
    if (entry === undefined || view === undefined || keeper.over(view, leases.now()).has(key.id)) return undefined
    const { ttlSeconds, override } = entry.record
    const lease = { ttlSeconds, renewedAt: entry.renewedWall, expiresAt: this.expiresAt(entry) }
    return { ...entry.instance, lease, ...(entry.load ? { load: entry.load } : {}), ...(override ? { override } : {}) }
  }

  findByRepo(repo: string): Instance[] {
    const { state, leases } = this.#options
    const now = leases.now()
    return [...state.views()]
      .flatMap((view) => this.#live(view, now))
      .filter((instance) => instance.repo === repo)
      .sort((a, b) => (keyText(a) < keyText(b) ? -1 : 1))
  }

  /** Unix ms at which the lease of an instance ends unless it is heard; null = never. */
  expiresAt(entry: Entry): number | null {
    const { keeper, leases, clock } = this.#options
    const now = leases.now()
    // When its keeper heard it last is known there alone; this is the latest that can be.
    const end = entry.kept || entry.record.ttlSeconds === 0 ? keeper.end(entry) : now + entry.record.ttlSeconds * 1000
    return end === Number.POSITIVE_INFINITY ? null : Math.round(clock.now() + end - now)
  }

  /** Whether the lease of an instance ran out, as far as that is for this server to know: otherwise its keeper says so. */
  #isOver(entry: Entry, now: number): boolean {
    return (entry.kept || entry.record.suspect !== undefined) && this.#options.keeper.overdue(entry, now)
  }

  #live(view: ServiceView, now: number): readonly Instance[] {
    if (now <= view.nextDueAt) return view.instances()
    const over = this.#options.keeper.over(view, now)
    return over.size === 0 ? view.instances() : view.instances().filter((instance) => !over.has(instance.id))
  }
}
