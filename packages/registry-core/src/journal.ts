import type { JournalEntry } from "@meshwork/contract"

const kept = 10_000

/** The latest changes of each kind; bounded. */
export class Journal {
  /** Oldest first, so by rising revision. */
  readonly #kinds = new Map<string, JournalEntry[]>()
  readonly #counts = new Map<string, number>()

  /** How many changes of each kind there were since the start, those no longer kept included. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts
  }

  add(entry: JournalEntry): void {
    this.#counts.set(entry.what, (this.#counts.get(entry.what) ?? 0) + 1)
    let entries = this.#kinds.get(entry.what)
    if (entries === undefined) this.#kinds.set(entry.what, (entries = []))
    entries.push(entry)
    // Halving now and then instead of shifting each time keeps adding cheap.
    if (entries.length > kept * 2) entries.splice(0, entries.length - kept)
  }

  /** Newest first. */
  read(filter: { service?: string; id?: string; limit: number }): JournalEntry[] {
    const found: JournalEntry[] = []
    const ends = [...this.#kinds.values()].map((entries) => ({ entries, at: entries.length - 1, oldest: Math.max(0, entries.length - kept) }))
    while (found.length < filter.limit) {
      let newest: (typeof ends)[number] | undefined
      for (const end of ends) if (end.at >= end.oldest && (newest === undefined || revisionAt(end) > revisionAt(newest))) newest = end
      const entry = newest?.entries[newest.at]
      if (newest === undefined || entry === undefined) break
      newest.at--
      if ((filter.service === undefined || entry.service === filter.service) && (filter.id === undefined || entry.id === filter.id)) found.push(entry)
    }
    return found
  }
}

function revisionAt(end: { entries: readonly JournalEntry[]; at: number }): number {
  return end.entries[end.at]?.revision ?? -1
}
