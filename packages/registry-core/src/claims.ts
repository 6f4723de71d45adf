import { type InstanceKey, keyText } from "@meshwork/contract"
import type { Division } from "./division.ts"
import type { RegistryState } from "./registry-state.ts"
import type { Entry } from "./service-view.ts"

export interface ClaimsOptions {
  state: RegistryState
  division: Division
  /** Id of this server. */
  self: string
  /** Time of the lease clock. */
  now: () => number
  /** Whether the store is reached. */
  reached: () => boolean
  /** Makes this server the keeper unless somebody else became it meanwhile. Never rejects. */
  claim: (entry: Entry) => Promise<void>
}

/**
 * Instances that are heard here and kept by another server: they are taken over with one write, at most once per half ttl, so that an instance
 * which turns to several servers in turn does not cost a write per heartbeat and still never falls between them.
 */
export class Claims {
  readonly #options: ClaimsOptions
  /** Those that wait for their half ttl, or for the store, with when they were heard. */
  readonly #pending = new Map<string, { key: InstanceKey; heardAt: number }>()
  readonly #underway = new Set<string>()

  constructor(options: ClaimsOptions) {
    this.#options = options
  }

  /** Takes note of a heartbeat. */
  heard(entry: Entry): void {
    const { self, now } = this.#options
    const { keeper, ttlSeconds, service, id } = entry.record
    if (keeper === self || ttlSeconds === 0) return
    const text = keyText(entry.record)
    this.#pending.set(text, { key: { service, id }, heardAt: now() })
    this.#attempt(text)
  }

  /** Takes over what is due; to be called about twice a second. */
  tick(): void {
    for (const text of this.#pending.keys()) this.#attempt(text)
  }

  #attempt(text: string): void {
    const { state, division, self, now, reached } = this.#options
    const pending = this.#pending.get(text)
    const entry = pending && state.entry(pending.key)
    const keeper = entry?.record.keeper
    const present = keeper !== undefined && division.has(keeper)
    // Whoever became its keeper after it was heard here heard it later.
    if (pending === undefined || entry === undefined || keeper === self || (present && entry.keeperSince > pending.heardAt)) {
      this.#pending.delete(text)
      return
    }
    if (!reached() || this.#underway.has(text) || (present && now() - entry.keeperSince < entry.record.ttlSeconds * 500)) return
    this.#underway.add(text)
    void this.#options.claim(entry).finally(() => this.#underway.delete(text))
  }
}
