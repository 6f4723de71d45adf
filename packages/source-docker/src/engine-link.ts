import { type Clock, MeshError, type Random, sleep } from "@meshwork/contract"
import { backOffMs } from "./back-off.ts"
import type { Departures } from "./departures.ts"
import type { DockerStatus } from "./docker-source.ts"
import type { Container, DockerEngine, EngineEvent } from "./engine.ts"

/** Events that come within this time are answered with one list, ms. */
const gatherMs = 20
/** A connection that lasted this long was a good one: the next one is tried at once, ms. */
const goodMs = 1000
/** Rest per time of a list, so that lists that take long are made less often. */
const restPerList = 2
/** Rest after a list that followed closely upon another, at first and at most, ms: the more happens at once, the more one list answers. */
const firstRestMs = 25
const longestRestMs = 300
/** What happens in a container without changing what it is to us; health checks alone cause three of these each time. */
const beside = /^(?:exec_|attach|detach|resize|top|copy|export|commit|archive-path|extract-to-dir|create$)/

export interface EngineLinkOptions {
  engine: DockerEngine
  clock: Clock
  random: Random
  resyncMs: number
  departures: Departures
  /** Ends it. */
  signal: AbortSignal
  /** A whole list came. */
  listed: (containers: readonly Container[], engineId: string) => void
  /** A container began to leave, or stays after all, without a new list. */
  departed: () => void
  /** A try to connect failed. */
  lost: (why: unknown) => void
  /** A container outlived the signal that was to end it. */
  survived: (id: string, signal: number) => void
}

/** The connection to an engine: made again for ever, and listed on every connection, event, and every so often. One list at a time. */
export class EngineLink {
  /** Resolves when the link has ended. */
  readonly ended: Promise<void>
  readonly #options: EngineLinkOptions
  #connected = false
  #problem: string | undefined
  #listedAt: number | undefined
  #lists = 0
  #connections = 0
  /** Time of the last event heard, on the engine's clock. */
  #lastEvent = ""
  #dirty = false
  #wake: () => void = () => {}

  constructor(options: EngineLinkOptions) {
    this.#options = options
    this.ended = this.#run()
  }

  status(): Omit<DockerStatus, "address" | "containers"> {
    const ageMs = this.#listedAt === undefined ? null : Math.max(0, this.#options.clock.monotonic() - this.#listedAt)
    const problem = this.#problem === undefined ? {} : { problem: this.#problem }
    return { connected: this.#connected, ageMs, lists: this.#lists, connections: this.#connections, ...problem }
  }

  async #run(): Promise<void> {
    const { clock, random, signal } = this.#options
    for (let attempt = 1; !signal.aborted; attempt++) {
      const begin = clock.monotonic()
      const { why, opened } = await this.#connection()
      if (signal.aborted) return
      this.#connected = false
      this.#problem = MeshError.from(why).message
      // A stream that was merely cut is back in a moment, so nobody is told unless connecting fails as well.
      if (!opened) this.#options.lost(why)
      const good = opened && clock.monotonic() - begin >= goodMs
      if (good) attempt = 0
      await sleep(clock, good ? 0 : backOffMs(attempt, random), signal)
    }
  }

  /** One connection from its first event to its end; never rejects. */
  async #connection(): Promise<{ why: unknown; opened: boolean }> {
    const { engine, signal } = this.#options
    const session = new AbortController()
    const end = (): void => session.abort()
    signal.addEventListener("abort", end, { once: true })
    let why: unknown
    let opened = false
    const failed = (error: unknown): void => {
      if (!session.signal.aborted) why ??= error
    }
    try {
      // Events first: what happens between the two is in the list, or heard.
      const events = await engine.events(this.#lastEvent === "" ? {} : { since: sinceText(this.#lastEvent) }, session.signal)
      // Whoever guards the socket may refuse this one; the list decides whether there is contact.
      const { id } = await engine.info(session.signal).catch(() => ({ id: "" }))
      const listening = this.#listen(events).catch(failed)
      await this.#list(id, true, session.signal)
      opened = this.#connected = true
      this.#problem = undefined
      this.#connections++
      const listing = this.#keepListing(id, session.signal).catch(failed)
      await Promise.race([listening, listing])
      session.abort()
      this.#wake()
      await Promise.all([listening, listing])
    } catch (error) {
      failed(error)
    } finally {
      session.abort()
      signal.removeEventListener("abort", end)
    }
    return { why: why ?? new MeshError("connection_failed", `Docker at ${engine.address} ended the stream of its events`), opened }
  }

  async #listen(events: AsyncIterable<EngineEvent>): Promise<void> {
    for await (const event of events) {
      if (event.timeNano !== "") this.#lastEvent = event.timeNano
      if (this.#options.departures.heard(event)) this.#options.departed()
      if (event.type === "container" && beside.test(event.action)) continue
      this.#dirty = true
      this.#wake()
    }
  }

  async #keepListing(engineId: string, signal: AbortSignal): Promise<void> {
    const { clock, resyncMs } = this.#options
    let rest = firstRestMs
    while (!signal.aborted) {
      await this.#change(resyncMs, signal)
      await sleep(clock, gatherMs, signal)
      if (signal.aborted) return
      const begin = clock.monotonic()
      await this.#list(engineId, false, signal)
      await sleep(clock, Math.min(longestRestMs, Math.max(rest, (clock.monotonic() - begin) * restPerList)), signal)
      rest = this.#dirty ? Math.min(longestRestMs, rest * 2) : firstRestMs
    }
  }

  /** Resolves when something happened, or after `ms`. */
  #change(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#dirty || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = this.#options.clock.timer(ms, () => this.#wake())
      this.#wake = () => {
        timer.cancel()
        this.#wake = () => {}
        resolve()
      }
    })
  }

  async #list(engineId: string, missed: boolean, signal: AbortSignal): Promise<void> {
    const { engine, clock, departures, listed, survived } = this.#options
    this.#dirty = false
    for (const id of departures.toReview(missed)) {
      const look = await engine.inspect(id, signal).then(
        (detail) => ({ detail }),
        () => undefined,
      )
      const outlived = look && departures.reviewed(id, look.detail)
      if (outlived !== undefined) survived(id, outlived)
    }
    const containers = await engine.list(signal)
    if (signal.aborted) return
    this.#listedAt = clock.monotonic()
    this.#lists++
    listed(containers, engineId)
  }
}

/** Docker wants seconds and nanoseconds apart. */
function sinceText(timeNano: string): string {
  return `${timeNano.slice(0, -9) || "0"}.${timeNano.slice(-9).padStart(9, "0")}`
}
