/** A queue whose members can leave from the middle. */
export class Line<T> {
  readonly #members = new Set<T>()
  // Kept between calls: a new iterator would walk over the holes that earlier members left.
  #cursor: Iterator<T> = this.#members.values()

  get size(): number {
    return this.#members.size
  }

  get first(): T | undefined {
    for (const member of this.#members) return member
    return undefined
  }

  has(member: T): boolean {
    return this.#members.has(member)
  }

  push(member: T): void {
    this.#members.add(member)
  }

  shift(): T | undefined {
    let next = this.#cursor.next()
    if (next.done) {
      this.#cursor = this.#members.values()
      next = this.#cursor.next()
    }
    if (next.done) return undefined
    this.#members.delete(next.value)
    return next.value
  }

  delete(member: T): void {
    this.#members.delete(member)
  }
}
