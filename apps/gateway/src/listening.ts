import { connect } from "node:net"
import type { Clock, Timer } from "@meshwork/contract"

/** How long a connection has to stay open: a proxy in front of a container accepts it in any case, and closes it when there is nobody behind. */
const openMs = 60
const connectMs = 1000
const againMs = 100
/** After this time an instance counts as listening whatever was seen, ms: who cannot be judged is not kept out for ever. */
const patienceMs = 10_000
const concurrency = 32

/** One process at one address. */
export interface Listener {
  identity: string
  host: string
  port: number
}

/** Finds out once for each process whether it listens yet. Bounded: so many at a time, each until it does, or for 10 s. */
export class Listening {
  readonly #clock: Clock
  readonly #changed: () => void
  readonly #seen = new Map<string, { target: Listener; listens: boolean; since: number; timer?: Timer }>()
  readonly #queue: string[] = []
  #running = 0

  constructor(clock: Clock, changed: () => void) {
    this.#clock = clock
    this.#changed = changed
  }

  has(identity: string): boolean {
    return this.#seen.get(identity)?.listens === true
  }

  /** Who is to be looked at now; whoever is not among them is forgotten. */
  sync(targets: readonly Listener[]): void {
    const wanted = new Map(targets.map((target) => [target.identity, target]))
    for (const [identity, { timer }] of this.#seen) {
      if (wanted.has(identity)) continue
      timer?.cancel()
      this.#seen.delete(identity)
    }
    for (const [identity, target] of wanted) {
      if (this.#seen.has(identity)) continue
      this.#seen.set(identity, { target, listens: false, since: this.#clock.monotonic() })
      this.#queue.push(identity)
    }
    this.#next()
  }

  close(): void {
    this.sync([])
  }

  #next(): void {
    while (this.#running < concurrency) {
      const identity = this.#queue.shift()
      if (identity === undefined) return
      const entry = this.#seen.get(identity)
      if (entry === undefined || entry.listens) continue
      this.#running++
      staysOpen(this.#clock, entry.target, (open) => {
        this.#running--
        this.#learned(identity, open)
        this.#next()
      })
    }
  }

  #learned(identity: string, open: boolean): void {
    const entry = this.#seen.get(identity)
    if (entry === undefined) return
    if (open || this.#clock.monotonic() - entry.since >= patienceMs) {
      entry.listens = true
      this.#changed()
      return
    }
    entry.timer = this.#clock
      .timer(againMs, () => {
        this.#queue.push(identity)
        this.#next()
      })
      .unref()
  }
}

function staysOpen(clock: Clock, { host, port }: Listener, done: (open: boolean) => void): void {
  const socket = connect({ host, port })
  let over = false
  const end = (open: boolean): void => {
    if (over) return
    over = true
    timer.cancel()
    socket.destroy()
    done(open)
  }
  let timer = clock.timer(connectMs, () => end(false)).unref()
  socket.on("connect", () => {
    timer.cancel()
    timer = clock.timer(openMs, () => end(true)).unref()
  })
  // Whoever speaks first is there.
  socket.on("data", () => end(true))
  socket.on("end", () => end(false))
  socket.on("error", () => end(false))
  socket.on("close", () => end(false))
}
