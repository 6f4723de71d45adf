import { type InstanceKey, type InstanceRecord, keyText, type Suspicion } from "@meshwork/contract"
import type { Changes, Wish } from "./changes.ts"
import type { RegistryState } from "./registry-state.ts"
import { told } from "./rules/renewal.ts"
import type { Entry } from "./service-view.ts"

export interface LeaseChangesOptions {
  state: RegistryState
  changes: Changes
  /** Id of this server. */
  self: string
  /** Whether several servers share the storage, so that leases have keepers. */
  shared: boolean
  /** Whether this server may end leases now, and knows which ones. */
  deciding: () => boolean
}

/** What a registry changes by itself, because of a heartbeat or for want of one. None of it rejects. */
export class LeaseChanges {
  readonly #options: LeaseChangesOptions
  /** Instances whose removal is being stored because their lease ran out. */
  readonly #leaving = new Set<string>()

  constructor(options: LeaseChangesOptions) {
    this.#options = options
  }

  /** Whether the removal of an instance is being stored. */
  isLeaving(key: InstanceKey): boolean {
    return this.#leaving.size > 0 && this.#leaving.has(keyText(key))
  }

  /** Makes this server the keeper of an instance that it heard; a suspect serves again. */
  claim(heard: Entry): Promise<void> {
    const { record } = heard
    const { self, shared, state } = this.#options
    const keeper = record.ttlSeconds > 0 && shared ? { keeper: self, ...this.#toldOf(state.entry(record) ?? heard) } : {}
    return this.#attempt(record, (current) => {
      if (current === undefined || current.boot !== record.boot) return undefined
      if (current.suspect === undefined && current.keeper !== record.keeper) return undefined
      const { suspect, ...rest } = current
      const put = { ...rest, ...keeper }
      if (suspect !== undefined) return { put, what: "heard", why: "a heartbeat came: no longer suspect" }
      return { put, what: "taken over", why: "heard here, not by its keeper", claims: true }
    })
  }

  /** Makes this server the keeper of an instance whose keeper is gone, so that the time it is given does not begin anew when that one returns. */
  inherit({ record }: Entry): Promise<void> {
    const keeper = this.#options.self
    return this.#attempt(record, (current) => {
      if (current === undefined || current.boot !== record.boot || current.keeper !== record.keeper) return undefined
      return { put: { ...current, keeper }, what: "taken over", why: "its keeper is gone", claims: true }
    })
  }

  /** Removes an instance, unless a heartbeat or a successor arrived after that was decided: they have the last word. */
  async end({ record }: Entry, why: string, renewedAt: number): Promise<void> {
    const text = keyText(record)
    await this.#attempt(record, (current) => {
      this.#leaving.delete(text)
      if (!this.#isSilent(record, current, renewedAt)) return undefined
      this.#leaving.add(text)
      return { delete: true, what: "expired", why, stands: () => this.#isSilent(record, current, renewedAt) }
    })
    this.#leaving.delete(text)
  }

  /** Holds an instance as suspect on the same terms. */
  hold(entry: Entry, suspect: Suspicion, renewedAt: number): Promise<void> {
    const { record } = entry
    return this.#attempt(record, (current) => {
      if (!this.#isSilent(record, current, renewedAt) || current.suspect !== undefined) return undefined
      const put = { ...current, ...this.#toldOf(entry), suspect }
      return { put, what: "suspected", why: suspect.reason, stands: () => this.#isSilent(record, current, renewedAt) }
    })
  }

  /** Tells a store of several servers when an instance with a long lease was heard; whether it took it. */
  async tell(entry: Entry): Promise<boolean> {
    const { record } = entry
    const { self, changes } = this.#options
    const rule = (current: InstanceRecord | undefined): Wish => {
      if (current === undefined || current.boot !== record.boot || current.keeper !== self) return undefined
      return { put: { ...current, ...this.#toldOf(entry) }, what: "renewed", why: "heard by its keeper", claims: true }
    }
    try {
      await changes.make(record, "registry", rule)
      return true
    } catch {
      return false
    }
  }

  /** What a store of several servers is told of the renewal of a long lease. */
  #toldOf({ record, renewedWall }: Entry): { renewedAt?: number } {
    return this.#options.shared ? told(record, renewedWall) : {}
  }

  #attempt(key: InstanceKey, rule: (current: InstanceRecord | undefined) => Wish): Promise<void> {
    const { changes } = this.#options
    return changes.attempt(changes.make(key, "registry", rule))
  }

  #isSilent(record: InstanceRecord, current: InstanceRecord | undefined, renewedAt: number): current is InstanceRecord {
    const { state, deciding } = this.#options
    const entry = state.entry(record)
    if (entry?.renewedAt !== renewedAt || !entry.kept || !deciding()) return false
    return current !== undefined && current.boot === record.boot && current.keeper === record.keeper
  }
}
