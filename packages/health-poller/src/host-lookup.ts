import { lookup as systemLookup, type LookupOptions } from "node:dns"
import type { LookupFunction } from "node:net"
import type { Clock } from "@meshwork/contract"
import { Line } from "./line.ts"

/** From when on an answer of the resolver was slow, ms. */
const slowMs = 500
/** Names of which it is known how quick they are. */
const mostKnown = 10_000

type Answer = Parameters<LookupFunction>[2]
/** Resolves a name; what it returns takes the question back, so far as nobody else waits for its answer. */
export type Lookup = (...question: Parameters<LookupFunction>) => () => void
interface Question {
  key: string
  host: string
  options: LookupOptions
  /** Everyone who waits for this very answer. */
  answers: Set<Answer>
}

/**
 * Names to addresses, as the system resolves them: names that a resolver keeps silent about wait for one another, so that they cannot take the
 * threads from those that are answered at once.
 */
export class HostLookup {
  readonly #clock: Clock
  readonly #system: LookupFunction
  /** Whether the last answer about a name was quick. */
  readonly #quick = new Map<string, boolean>()
  readonly #asked = new Map<string, Question>()
  readonly #mostDoubtful: number
  readonly #mostSlow: number
  #doubtful = 0
  #slow = 0
  /** Names that nobody has asked for yet come before those that were slow. */
  readonly #fresh = new Line<Question>()
  readonly #waiting = new Line<Question>()

  /**
   * @param system resolves a name; default this machine's resolver
   * @param atOnce names that it resolves at once; default what libuv grants
   */
  constructor(clock: Clock, system: LookupFunction = systemLookup, atOnce: number = grantedAtOnce()) {
    this.#clock = clock
    this.#system = system
    this.#mostDoubtful = Math.max(1, atOnce - 1)
    this.#mostSlow = Math.ceil(this.#mostDoubtful / 2)
  }

  /** For `connect` of `node:net` and `node:tls`. */
  readonly lookup: Lookup = (host, options, answer) => {
    const key = JSON.stringify([host, options.family, options.hints, options.all])
    let question = this.#asked.get(key)
    if (question === undefined) {
      question = { key, host, options, answers: new Set() }
      this.#asked.set(key, question)
      question.answers.add(answer)
      if (this.#isQuick(host)) this.#ask(question, () => {})
      else this.#lineOf(host).push(question)
      this.#pump()
    } else question.answers.add(answer)
    return () => this.#takeBack(question, answer)
  }

  #takeBack(question: Question, answer: Answer): void {
    if (!question.answers.delete(answer) || question.answers.size > 0) return
    if (!this.#fresh.has(question) && !this.#waiting.has(question)) return
    this.#fresh.delete(question)
    this.#waiting.delete(question)
    this.#asked.delete(question.key)
  }

  #isQuick(host: string): boolean {
    return this.#quick.get(host) === true || host === "localhost" || host.endsWith(".localhost")
  }

  #lineOf(host: string): Line<Question> {
    return this.#quick.has(host) ? this.#waiting : this.#fresh
  }

  #pump(): void {
    while (this.#doubtful < this.#mostDoubtful) {
      const fresh = this.#fresh.shift()
      const slow = fresh === undefined && this.#slow < this.#mostSlow ? this.#waiting.shift() : undefined
      const question = fresh ?? slow
      if (question === undefined) return
      this.#doubtful++
      if (slow !== undefined) this.#slow++
      this.#ask(question, () => {
        this.#doubtful--
        if (slow !== undefined) this.#slow--
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
    this.#quick.delete(host)
    for (const oldest of this.#quick.keys()) {
      if (this.#quick.size < mostKnown) break
      this.#quick.delete(oldest)
    }
    this.#quick.set(host, quick)
  }
}

/** The half of its threads that libuv lets look-ups have, rounded up. */
function grantedAtOnce(): number {
  const threads = Number(process.env["UV_THREADPOOL_SIZE"] ?? 4)
  return Math.ceil((Number.isInteger(threads) && threads > 0 ? threads : 4) / 2)
}
