import { type InstanceKey, keyText } from "@meshwork/contract"
import type { Division } from "./division.ts"
import type { RegistryState } from "./registry-state.ts"
import type { Entry } from "./service-view.ts"

/** How long the store may take to make this server a keeper before instances are sent elsewhere, ms; less for short leases. */
const longestPatienceMs = 1000
const patienceShare = 1 / 12
/** How long the store may say nothing before instances that others keep are sent elsewhere, ms. */
const longestSilenceMs = 3000

export interface ClaimsOptions {
  state: RegistryState
  division: Division
  /** Id of this server. */
  self: string
  /** Time of the lease clock. */
  now: () => number
  /** Whether the store is reached. */
  reached: () => boolean
  /** How long the store has said nothing, ms. */
  silenceMs: () => number
  /** Makes this server the keeper unless somebody else became it meanwhile. Never rejects. */
  claim: (entry: Entry) => Promise<void>
}

/**
 * Instances that are heard here and kept by another server: they are taken over with one write, at most once per half ttl, so that an instance
 * which turns to several servers in turn does not cost a write per heartbeat and still never falls between them.
 */
export class Claims {
  readonly #options: ClaimsOptions
  /** Those that wait for their half ttl, or for the store, with when they were heard and when the store was first asked. */
  readonly #pending = new Map<string, { key: InstanceKey; heardAt: number; askedAt?: number }>()
  readonly #underway = new Set<string>()

  constructor(options: ClaimsOptions) {
    this.#options = options
  }

  /** Takes note of a heartbeat; false while the store does not take this server as the keeper, so that nobody who can end the lease knows of it. */
  heard(entry: Entry): boolean {
    const { self, now } = this.#options
    const { keeper, ttlSeconds, service, id } = entry.record
    if (keeper === self || ttlSeconds === 0) return true
    const text = keyText(entry.record)
    const askedAt = this.#pending.get(text)?.askedAt
    this.#pending.set(text, { key: { service, id }, heardAt: now(), ...(askedAt === undefined ? {} : { askedAt }) })
    this.#attempt(text)
    if (!this.#pending.has(text)) return true
    if (this.#options.silenceMs() > longestSilenceMs) return false
    return askedAt === undefined || now() - askedAt < Math.min(longestPatienceMs, ttlSeconds * 1000 * patienceShare)
  }

  /** Forgets who waited while the store was away, but for those heard just now: who kept the others meanwhile was not known here. */
  forgetOld(): void {
    for (const [text, { key, heardAt }] of this.#pending) {
      const ttlSeconds = this.#options.state.entry(key)?.record.ttlSeconds ?? 0
      if (this.#options.now() - heardAt > ttlSeconds * 250) this.#pending.delete(text)
    }
  }

  /** Takes over what is due; to be called about twice a second. */
  tick(): void {
    for (const text of this.#pending.keys()) this.#attempt(text)
  }

  #attempt(text: string): void {
    const { state, division, self, now, reached } = this.#options
    const pending = this.#pending.get(text)
    const entry = pending && state.entry(pending.key)
    if (pending === undefined || entry === undefined) return void this.#pending.delete(text)
    const { keeper, ttlSeconds } = entry.record
    const present = keeper !== undefined && division.has(keeper)
    const silence = now() - pending.heardAt
    // Whoever became its keeper after it was heard here heard it later.
    if (keeper === self || (present && entry.keeperSince >= pending.heardAt) || silence > ttlSeconds * 1000) return void this.#pending.delete(text)
    if (!reached() || this.#underway.has(text)) return
    // The keeper may have heard it since: a lease that goes over must have enough left for it to be taken back.
    if (present && (now() - entry.keeperSince < ttlSeconds * 500 || silence > ttlSeconds * 250)) return
    pending.askedAt ??= now()
    this.#underway.add(text)
    void this.#options.claim(entry).finally(() => this.#underway.delete(text))
  }
}
