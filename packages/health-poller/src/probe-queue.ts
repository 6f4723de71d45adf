/** Something that waits for a slot. */
export interface Waiting {
  /** Whether its last probe ran into the time limit. */
  readonly hangs: boolean
}

/**
 * First come, first served over a bounded number of slots. What hung last time waits in a line of its own and gets at
 * most half of the slots, so that many dead hosts cannot delay the living.
 */
export class ProbeQueue<T extends Waiting> {
  readonly #slots: number
  readonly #slotsForHanging: number
  readonly #start: (entry: T) => Promise<void>
  readonly #prompt = new Line<T>()
  readonly #hanging = new Line<T>()
  #busy = 0
  #busyHanging = 0
  #hangingFirst = false

  /** @param start Begins the work of an entry; its slot is free again when that settles. Must not reject. */
  constructor(slots: number, start: (entry: T) => Promise<void>) {
    this.#slots = Math.max(1, slots)
    this.#slotsForHanging = Math.max(1, Math.floor(slots / 2))
    this.#start = start
  }

  /** Puts an entry at the end of its line, unless it waits already, and starts what can start. */
  push(entry: T): void {
    if (this.#prompt.has(entry) || this.#hanging.has(entry)) return
    const line = entry.hangs ? this.#hanging : this.#prompt
    line.push(entry)
    this.#pump()
  }

  /** Takes a waiting entry out; a started one goes on. */
  delete(entry: T): void {
    this.#prompt.delete(entry)
    this.#hanging.delete(entry)
  }

  /** Takes every waiting entry out. */
  clear(): void {
    this.#prompt.clear()
    this.#hanging.clear()
  }

  #pump(): void {
    while (this.#busy < this.#slots) {
      const mayHang = this.#hanging.size > 0 && this.#busyHanging < this.#slotsForHanging
      if (!mayHang && this.#prompt.size === 0) return
      const hanging = mayHang && (this.#prompt.size === 0 || this.#hangingFirst)
      this.#hangingFirst = !hanging
      const entry = (hanging ? this.#hanging : this.#prompt).shift()
      if (entry !== undefined) this.#run(entry, hanging)
    }
  }

  #run(entry: T, hanging: boolean): void {
    this.#busy++
    if (hanging) this.#busyHanging++
    void this.#start(entry).finally(() => {
      this.#busy--
      if (hanging) this.#busyHanging--
      this.#pump()
    })
  }
}

/** A queue whose members can leave from the middle. */
class Line<T> {
  readonly #members = new Set<T>()
  // Kept between calls: a new iterator would walk over the holes that earlier members left.
  #cursor: Iterator<T> = this.#members.values()

  get size(): number {
    return this.#members.size
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

  clear(): void {
    this.#members.clear()
  }
}
