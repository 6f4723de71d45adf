import type { Clock } from "@meshwork/contract"
import type { Container, ContainerDetail, EngineEvent } from "./engine.ts"

/** How long a container that was asked to stop is left alone before it is looked at again, ms. */
const patienceMs = 60_000
const kill = 9
/** In place of a signal: the container has ended already. */
const died = 0
/** HUP, USR1, USR2, WINCH and the like mean other things to many programs, so these are looked up. */
const alwaysEnd = new Set([died, 2, 3, 6, kill, 15])
/** Signals that images name in STOPSIGNAL, beyond those above. */
const signalNumbers: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ABRT: 6,
  KILL: 9,
  USR1: 10,
  USR2: 12,
  TERM: 15,
  WINCH: 28,
  PWR: 30,
}

interface Departure {
  signal: number
  /** Unix ms on the engine's clock. */
  at: number
  /** Monotonic ms at which it was heard of. */
  heardAt: number
  /** False until it is known that this signal ends the container. */
  sure: boolean
  /** Monotonic ms from which on it is to be looked at. */
  reviewAt: number
}

/**
 * Containers that were sent a signal to end and that the engine still lists as running. They leave the rotation at once, and come back if they
 * turn out to have survived, or to have been started again unseen.
 */
export class Departures {
  readonly #clock: Clock
  readonly #known = new Map<string, Departure>()
  /** When containers were started last, as far as that was heard. */
  readonly #started = new Map<string, string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What ends a container, in words, and whether it can still answer; undefined where nothing does. */
  of(id: string): { by: string; dead: boolean } | undefined {
    const departure = this.#known.get(id)
    if (departure?.sure !== true) return undefined
    const { signal } = departure
    return { by: signal === died ? "docker: it ended" : `docker (signal ${signal})`, dead: signal === died || signal === kill }
  }

  /** Tells one run of a container from the next: the same text for as long as it was not heard to start. */
  runOf(id: string): string {
    return this.#started.get(id) ?? ""
  }

  /** Learns from an event; says whether that changed who is leaving. */
  heard(event: EngineEvent): boolean {
    if (event.type !== "container") return false
    if (event.action === "kill") return this.#killed(event)
    // The list that no longer has it comes a moment later.
    if (event.action === "die") return this.#ends(event, died)
    if (event.action === "start") this.#started.set(event.container, event.timeNano)
    if (event.action === "start" || event.action === "destroy") return this.#known.delete(event.container)
    return false
  }

  #killed(event: EngineEvent): boolean {
    if (event.signal === undefined) return false
    // A second, weaker signal says nothing new about a container that is leaving.
    if (this.#known.get(event.container)?.sure === true && event.signal !== kill) return false
    return this.#ends(event, event.signal)
  }

  #ends({ container, timeNano }: EngineEvent, signal: number): boolean {
    const now = this.#clock.monotonic()
    const sure = alwaysEnd.has(signal)
    const at = timeNano === "" ? this.#clock.now() : Number(timeNano.slice(0, -6))
    this.#known.set(container, { signal, at, heardAt: now, sure, reviewAt: sure ? now + patienceMs : now })
    return sure
  }

  /** Forgets containers that no longer run. */
  keepOnly(containers: readonly Container[]): void {
    const running = new Set(containers.map((container) => container.id))
    for (const known of [this.#known, this.#started]) for (const id of known.keys()) if (!running.has(id)) known.delete(id)
  }

  /** Whom to look at now; `all` after events may have been missed. */
  toReview(all: boolean): string[] {
    const now = this.#clock.monotonic()
    return [...this.#known].filter(([, departure]) => all || now >= departure.reviewAt).map(([id]) => id)
  }

  /** Learns what a look at a container showed; returns the signal it survived, where it did. */
  reviewed(id: string, detail: ContainerDetail | undefined): number | undefined {
    const departure = this.#known.get(id)
    if (departure === undefined) return undefined
    if (detail === undefined || !detail.running || detail.startedAt > departure.at) {
      this.#known.delete(id)
      return undefined
    }
    if (!departure.sure) {
      if (numberOf(detail.stopSignal) !== departure.signal) this.#known.delete(id)
      else Object.assign(departure, { sure: true, reviewAt: departure.heardAt + patienceMs })
      return undefined
    }
    const now = this.#clock.monotonic()
    const until = departure.heardAt + Math.max(patienceMs, (detail.stopTimeoutSeconds + 5) * 1000)
    if (now < until) {
      departure.reviewAt = until
      return undefined
    }
    this.#known.delete(id)
    return departure.signal
  }
}

function numberOf(signal: string): number {
  const name = signal.toUpperCase().replace(/^SIG/, "")
  const realTime = /^RTMIN(?:\+(\d{1,2}))?$/.exec(name)
  return realTime === null ? (signalNumbers[name] ?? Number(name)) : 34 + Number(realTime[1] ?? 0)
}
