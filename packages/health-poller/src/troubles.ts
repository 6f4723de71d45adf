import type { Trouble } from "./poller.ts"

/** Tells once when something about this process begins to disturb its probes, and once when that is over. */
export class Troubles {
  readonly #tell: (trouble: Trouble) => void
  readonly #faulty = new Set<object>()
  #isCutOff = false

  constructor(tell: ((trouble: Trouble) => void) | undefined) {
    this.#tell = tell ?? (() => {})
  }

  cutOff(present: boolean): void {
    if (this.#isCutOff === present) return
    this.#isCutOff = present
    const message = present
      ? "no other machine answers any more, so this server seems cut off from the network: verdicts stay as they are for at most 300 s"
      : "other machines answer again"
    this.#tell({ kind: "cut-off", present, message })
  }

  /** @param reason of a probe that this process could not make of `target`; undefined for one that it could */
  fault(target: object, reason: string | undefined): void {
    if (reason === undefined) return this.forget(target)
    if (this.#isCutOff) return
    if (this.#faulty.size === 0) this.#tell({ kind: "fault", present: true, message: reason })
    this.#faulty.add(target)
  }

  /** Counts a target no more. */
  forget(target: object): void {
    if (this.#faulty.delete(target) && this.#faulty.size === 0)
      this.#tell({ kind: "fault", present: false, message: "every probe can be made again" })
  }
}
