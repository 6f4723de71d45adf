import type { PollEntry } from "./poll-entry.ts"

const mostParted = 10_000
const rememberMs = 600_000

/** Targets that left not long ago, so that one that comes back is not a stranger. Bounded in number and time. */
export class PartedEntries {
  /** Longest gone first. */
  readonly #entries = new Map<string, { entry: PollEntry; at: number }>()
  readonly #forget: (entry: PollEntry) => void

  /** @param forget called for each that is remembered no longer */
  constructor(forget: (entry: PollEntry) => void) {
    this.#forget = forget
  }

  add(key: string, entry: PollEntry, now: number): void {
    this.#entries.set(key, { entry, at: now })
    this.trim(now)
  }

  /** Takes one out again. */
  take(key: string, now: number): PollEntry | undefined {
    this.trim(now)
    const found = this.#entries.get(key)
    this.#entries.delete(key)
    return found?.entry
  }

  /** Forgets who has been gone for too long. */
  trim(now: number): void {
    for (const [key, { entry, at }] of this.#entries) {
      if (this.#entries.size <= mostParted && now - at <= rememberMs) return
      this.#entries.delete(key)
      this.#forget(entry)
    }
  }
}
