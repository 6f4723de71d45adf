/** Hosts that must have fallen silent together before this process believes that it is cut off, where it knows so many. */
const hostsToDoubt = 3
/** How long a silence is doubted while others are asked, ms. */
export const mostDoubtMs = 15_000
/** How long verdicts are held back at most, ms. */
export const mostCutOffMs = 300_000
/** Others that are asked when one falls silent. */
const witnesses = 3

/** What to make of a silence: it is the host's; it is too early to say; it is our own. Whoever is in `ask` may know better. */
export type Silence<W> = { judgement: "believe" } | { judgement: "doubt" | "cut-off"; ask: readonly W[] }

/**
 * Tells hosts that died from a network that this process has lost. A host that was heard last time and is silent now is believed dead as soon as
 * any other one is heard; when all that could be asked fell silent together, it is this process that is cut off, for 300 s at most.
 */
export class NetworkWatch<W> {
  /** Other machines that answered when they were asked last, each with who can ask again. */
  readonly #answering = new Map<string, W>()
  /** Those that answered before and have not since anything was heard. */
  readonly #quiet = new Set<string>()
  #heardAt = Number.NEGATIVE_INFINITY
  #cutOffSince: number | undefined

  /** Monotonic ms since when this process seems to be cut off. */
  get cutOffSince(): number | undefined {
    return this.#cutOffSince
  }

  /** Something came from another machine. */
  heard(host: string, witness: W, now: number): void {
    this.#heardAt = now
    this.#cutOffSince = undefined
    this.#quiet.clear()
    this.#answering.delete(host)
    this.#answering.set(host, witness)
  }

  /**
   * Nothing came back from another machine.
   * @param since when the first probe began that got no answer, monotonic ms
   * @param noWay whether this machine has no network that leads there: then no second host need fall silent to doubt ourselves
   */
  silent(host: string, since: number, now: number, noWay = false): Silence<W> {
    const known = this.#answering.has(host) || this.#quiet.has(host)
    if (!known || this.#heardAt >= since) return this.#believe(host)
    this.#quiet.add(host)
    this.#answering.delete(host)
    const alone = noWay && this.#answering.size === 0
    if (this.#cutOffSince === undefined && (alone || this.#quiet.size >= this.#enough)) this.#cutOffSince = now
    const ask = [...this.#answering.values()].slice(-witnesses)
    if (this.#cutOffSince !== undefined) return now - this.#cutOffSince > mostCutOffMs ? { judgement: "believe" } : { judgement: "cut-off", ask }
    return ask.length === 0 || now - since > mostDoubtMs ? this.#believe(host) : { judgement: "doubt", ask }
  }

  /** Nobody asks there any more. */
  forget(host: string, witness: W): void {
    if (this.#answering.get(host) === witness) this.#answering.delete(host)
    this.#quiet.delete(host)
  }

  /** All of them where there are two or three; a single one proves nothing. */
  get #enough(): number {
    return Math.max(2, Math.min(hostsToDoubt, this.#answering.size + this.#quiet.size))
  }

  #believe(host: string): Silence<W> {
    this.#answering.delete(host)
    this.#quiet.delete(host)
    return { judgement: "believe" }
  }
}
