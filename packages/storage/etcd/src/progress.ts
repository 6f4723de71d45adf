/** How old a confirmation may be when it is handed on, ms. */
const maxAgeMs = 2000
/** How long a new watch may take to hand out what came before it; until then etcd's word about its progress is not taken. */
const catchUpMs = 1000

interface Claim {
  /** What etcd says has been handed out. */
  revision: number
  /** What had been stored when it was asked, and when that was. */
  asked: { revision: number; at: number }
}

/**
 * How far a watch is. etcd's answer to the question may overtake changes (etcd before 3.4.25 and 3.5.8), so it counts only once another one has come
 * with no change in between that it should have covered.
 */
export class Progress {
  /** Everything up to here has been handed out. */
  trusted: number
  #claim: Claim | undefined
  #asked: { revision: number; at: number } | undefined
  #created: { at: number; behind: boolean } | undefined
  readonly #from: number

  /** @param from revision up to which everything is known */
  constructor(from: number) {
    this.trusted = from
    this.#from = from
  }

  /** The watch exists; etcd was at `revision` then. */
  created(revision: number, now: number): void {
    this.#created = { at: now, behind: revision > this.#from }
  }

  /** Asked at `at`, when `revision` was the store's. */
  ask(revision: number, at: number): void {
    this.#asked = { revision, at }
  }

  /** A change of `revision` came; false when it should have come before. */
  change(revision: number): boolean {
    if (this.#claim !== undefined && revision <= this.#claim.revision) this.#claim = undefined
    const inOrder = revision > this.trusted
    this.trusted = Math.max(this.trusted, revision)
    return inOrder
  }

  /** etcd says that everything up to `revision` has been handed out; true when that confirms what was stored at most 2 s ago. */
  report(revision: number, now: number): boolean {
    const before = this.#claim
    const asked = this.#asked
    const caughtUp = this.#created !== undefined && (!this.#created.behind || now - this.#created.at > catchUpMs)
    this.#claim = asked && caughtUp ? { revision, asked } : undefined
    if (before === undefined) return false
    this.trusted = Math.max(this.trusted, before.revision)
    return before.revision >= before.asked.revision && now - before.asked.at <= maxAgeMs
  }
}
