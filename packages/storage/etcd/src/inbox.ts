/** What arrives from several sides, handed to one reader in order. */
export class Inbox<T> {
  readonly #items: T[] = []
  #wake: (() => void) | undefined
  #closed = false

  /** How many items wait. */
  get size(): number {
    return this.#items.length
  }

  push(item: T): void {
    if (this.#closed) return
    this.#items.push(item)
    this.#wake?.()
  }

  /** Ends the reader once it has read what is there. */
  close(): void {
    this.#closed = true
    this.#wake?.()
  }

  /** The next item; undefined once closed. */
  async next(): Promise<T | undefined> {
    while (this.#items.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    return this.#items.shift()
  }
}
