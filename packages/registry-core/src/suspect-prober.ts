import type { Clock } from "@meshwork/contract"
import type { Entry } from "./service-view.ts"

const probeEveryMs = 5000
const concurrency = 64

export interface SuspectProberOptions {
  clock: Clock
  /** False only when the port refuses. */
  probe: (target: { host: string; port: number }) => Promise<boolean>
  /** Called when a suspect's port refused, with the sign of life the suspect had when it was probed. */
  refused(entry: Entry, renewedAt: number): void
}

/** Asks suspects that no passing check vouches for whether they still listen; a bounded number at once, each every 5 s. */
export class SuspectProber {
  readonly #options: SuspectProberOptions
  readonly #probedAt = new WeakMap<object, number>()
  readonly #waiting = new Set<Entry>()
  #running = 0
  #stopped = false

  constructor(options: SuspectProberOptions) {
    this.#options = options
  }

  /** Probes the suspects that are due; returns in how many ms to look again, Infinity when there is nobody to probe. */
  look(entries: Iterable<Entry>): number {
    const now = this.#options.clock.monotonic()
    let wait = Number.POSITIVE_INFINITY
    for (const entry of entries) {
      const { suspect, check, health } = entry.record
      if (suspect === undefined || (check !== undefined && health.status === "passing")) continue
      const due = (this.#probedAt.get(suspect) ?? Number.NEGATIVE_INFINITY) + probeEveryMs
      if (due <= now) {
        this.#probedAt.set(suspect, now)
        this.#waiting.add(entry)
      }
      wait = Math.min(wait, due <= now ? probeEveryMs : due - now)
    }
    while (this.#running < concurrency && this.#waiting.size > 0) void this.#next()
    return wait
  }

  stop(): void {
    this.#stopped = true
    this.#waiting.clear()
  }

  async #next(): Promise<void> {
    this.#running++
    for (const entry of this.#waiting) {
      this.#waiting.delete(entry)
      const { renewedAt } = entry
      const { host, port } = entry.record
      const listens = await this.#options.probe({ host, port }).catch(() => true)
      if (!listens && !this.#stopped) this.#options.refused(entry, renewedAt)
    }
    this.#running--
  }
}
