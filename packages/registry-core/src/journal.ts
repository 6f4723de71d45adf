import type { JournalEntry } from "@meshwork/contract"

const kept = 10_000

/** The latest changes of each kind, newest last; bounded. */
export class Journal {
  readonly #kinds = new Map<string, JournalEntry[]>()

  add(entry: JournalEntry): void {
    let entries = this.#kinds.get(entry.what)
    if (entries === undefined) this.#kinds.set(entry.what, (entries = []))
    entries.push(entry)
    // Halving now and then instead of shifting each time keeps adding cheap.
    if (entries.length > kept * 2) entries.splice(0, entries.length - kept)
  }

  /** Newest first. */
  read(filter: { service?: string; id?: string; limit: number }): JournalEntry[] {
    const matching = [...this.#kinds.values()].flatMap((entries) =>
      entries.slice(-kept).filter((entry) => (filter.service === undefined || entry.service === filter.service) && (filter.id === undefined || entry.id === filter.id)),
    )
    return matching.sort((a, b) => b.revision - a.revision || b.at - a.at).slice(0, filter.limit)
  }
}
