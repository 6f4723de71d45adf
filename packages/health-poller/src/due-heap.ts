/** An entry of a `DueHeap`; `at` and `slot` belong to the heap while it is inside. */
export interface Due {
  /** When it is due, in the unit of the caller's clock. */
  at: number
  /** Its place in the heap, -1 while outside. */
  slot: number
}

/** A binary heap by due time whose entries know their place, so that any of them leaves in O(log n). */
export class DueHeap<T extends Due> {
  readonly #entries: T[] = []

  get first(): T | undefined {
    return this.#entries[0]
  }

  /** Puts an entry in, or moves it when it is inside already. */
  put(entry: T, at: number): void {
    entry.at = at
    if (entry.slot < 0) {
      entry.slot = this.#entries.length
      this.#entries.push(entry)
    }
    this.#down(this.#up(entry.slot))
  }

  /** Takes an entry out; harmless when it is not inside. */
  delete(entry: T): void {
    const slot = entry.slot
    if (slot < 0) return
    entry.slot = -1
    const last = this.#entries.pop()
    if (last === undefined || last === entry) return
    this.#place(last, slot)
    this.#down(this.#up(slot))
  }

  #place(entry: T, slot: number): void {
    this.#entries[slot] = entry
    entry.slot = slot
  }

  #up(from: number): number {
    let slot = from
    for (let above = (slot - 1) >> 1; slot > 0 && this.#before(slot, above); above = (slot - 1) >> 1) {
      this.#swap(slot, above)
      slot = above
    }
    return slot
  }

  #down(from: number): void {
    for (let slot = from; ; ) {
      let least = slot
      for (const below of [slot * 2 + 1, slot * 2 + 2]) if (below < this.#entries.length && this.#before(below, least)) least = below
      if (least === slot) return
      this.#swap(slot, least)
      slot = least
    }
  }

  #before(a: number, b: number): boolean {
    return (this.#entries[a]?.at ?? 0) < (this.#entries[b]?.at ?? 0)
  }

  #swap(a: number, b: number): void {
    const one = this.#entries[a]
    const other = this.#entries[b]
    if (one === undefined || other === undefined) return
    this.#place(one, b)
    this.#place(other, a)
  }
}
