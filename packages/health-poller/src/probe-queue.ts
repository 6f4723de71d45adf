import { Line } from "./line.ts"

/** Something that waits for a slot. */
export interface Waiting {
  /** Whether its last probe ran into the time limit. */
  readonly hangs: boolean
}

/** From when on something under way counts as lingering, ms. */
const promptMs = 100

/**
 * First come, first served over a bounded number of slots. What has not ended within a tenth of a second lingers and frees its slot for others, up to a
 * far higher bound; what hung last time lingers from its beginning, in at most three quarters of that room. So any number of dead hosts hardly
 * delays the living.
 */
export class ProbeQueue<T extends Waiting> {
  readonly #slots: number
  readonly #room: number
  readonly #roomForHanging: number
  readonly #now: () => number
  readonly #start: (entry: T) => Promise<void>
  readonly #prompt = new Line<T>()
  readonly #hanging = new Line<T>()
  /** In the order of their start. */
  readonly #young = new Map<object, number>()
  #lingering = 0
  #knownToHang = 0

  /** @param options.start Begins the work of an entry; its slot is free again when that settles. Must not reject. */
  constructor(options: { slots: number; lingering: number; now: () => number; start: (entry: T) => Promise<void> }) {
    this.#slots = Math.max(1, options.slots)
    this.#room = Math.max(1, options.lingering)
    this.#roomForHanging = Math.max(1, Math.floor(this.#room * 0.75))
    this.#now = options.now
    this.#start = options.start
  }

  get underWay(): number {
    return this.#young.size + this.#lingering
  }

  get waiting(): number {
    return this.#prompt.size + this.#hanging.size
  }

  /** Who has waited longest in the line of those that do not hang. */
  get first(): T | undefined {
    return this.#prompt.first
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

  /** Looks for what lingers; to be called a few times a second while anything is under way. */
  age(now: number): void {
    for (const [ticket, startedAt] of this.#young) {
      if (this.#lingering >= this.#room || now - startedAt < promptMs) break
      this.#young.delete(ticket)
      this.#lingering++
    }
    this.#pump()
  }

  #pump(): void {
    while (this.#hanging.size > 0 && this.#knownToHang < this.#roomForHanging && this.#lingering < this.#room) this.#linger()
    while (this.#prompt.size > 0 && this.#young.size < this.#slots) {
      const entry = this.#prompt.shift()
      if (entry === undefined) return
      const ticket = {}
      this.#young.set(ticket, this.#now())
      void this.#start(entry).finally(() => {
        if (!this.#young.delete(ticket)) this.#lingering--
        this.#pump()
      })
    }
  }

  #linger(): void {
    const entry = this.#hanging.shift()
    if (entry === undefined) return
    this.#lingering++
    this.#knownToHang++
    void this.#start(entry).finally(() => {
      this.#lingering--
      this.#knownToHang--
      this.#pump()
    })
  }
}
