import { Newest } from "./newest.ts"

/** Everyone who follows one of several topics; each gets the newest value at once, then after each change. */
export class Subscribers<T> {
  readonly #topics = new Map<string, Set<Newest<T>>>()

  tell(topic: string, value: T): void {
    for (const reader of this.#topics.get(topic) ?? []) reader.put(value)
  }

  /** Topics somebody follows. */
  get topics(): string[] {
    return [...this.#topics.keys()]
  }

  /** @param first what is known already, or undefined where nothing is */
  async *follow(topic: string, first: T | undefined, signal: AbortSignal): AsyncGenerator<T> {
    const reader = new Newest<T>(signal)
    if (first !== undefined) reader.put(first)
    const readers = this.#topics.get(topic) ?? new Set()
    this.#topics.set(topic, readers.add(reader))
    try {
      yield* reader.read()
    } finally {
      readers.delete(reader)
      if (readers.size === 0) this.#topics.delete(topic)
    }
  }
}
