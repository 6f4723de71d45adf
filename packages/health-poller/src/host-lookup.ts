import { lookup as systemLookup, type LookupOptions } from "node:dns"
import type { LookupFunction } from "node:net"
import type { Clock } from "@meshwork/contract"

/** From when on an answer of the resolver was slow, ms. */
const slowMs = 500
/** Look-ups at once of names that were slow, or that nobody has asked for yet; the system has but four threads for all of them, and for files too. */
const mostDoubtful = 2
/** Names that are known to be quick at most. */
const mostQuick = 10_000

type Answer = Parameters<LookupFunction>[2]
interface Question {
  key: string
  host: string
  options: LookupOptions
  /** Everyone who waits for this very answer. */
  answers: Answer[]
}

/**
 * Names to addresses, as the system resolves them: names that a resolver keeps silent about wait for one another, so that they cannot take the
 * threads from those that are answered at once.
 */
export class HostLookup {
  readonly #clock: Clock
  readonly #system: LookupFunction
  /** Names whose last answer was quick. */
  readonly #quick = new Set<string>()
  readonly #asked = new Map<string, Question>()
  #doubtful = 0
  readonly #waiting: Question[] = []

  /** @param system resolves a name; default this machine's resolver */
  constructor(clock: Clock, system: LookupFunction = systemLookup) {
    this.#clock = clock
    this.#system = system
  }

  /** For `connect` of `node:net` and `node:tls`. */
  readonly lookup: LookupFunction = (host, options, answer) => {
    const key = JSON.stringify([host, options.family, options.hints, options.all])
    const known = this.#asked.get(key)
    if (known !== undefined) return void known.answers.push(answer)
    const question: Question = { key, host, options, answers: [answer] }
    this.#asked.set(key, question)
    if (this.#isQuick(host)) return this.#ask(question, () => {})
    this.#waiting.push(question)
    this.#pump()
  }

  #isQuick(host: string): boolean {
    return this.#quick.has(host) || host === "localhost" || host.endsWith(".localhost")
  }

  #pump(): void {
    while (this.#doubtful < mostDoubtful) {
      const question = this.#waiting.shift()
      if (question === undefined) return
      this.#doubtful++
      this.#ask(question, () => {
        this.#doubtful--
        this.#pump()
      })
    }
  }

  #ask({ key, host, options, answers }: Question, ended: () => void): void {
    const begin = this.#clock.monotonic()
    this.#system(host, options, (...result) => {
      this.#asked.delete(key)
      this.#remember(host, this.#clock.monotonic() - begin < slowMs)
      for (const answer of answers) answer(...result)
      ended()
    })
  }

  #remember(host: string, quick: boolean): void {
    if (!quick) return void this.#quick.delete(host)
    for (const oldest of this.#quick) {
      if (this.#quick.size < mostQuick) break
      this.#quick.delete(oldest)
    }
    this.#quick.add(host)
  }
}
