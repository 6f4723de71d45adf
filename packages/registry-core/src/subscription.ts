import type { WatchToken } from "@meshwork/contract"
import type { Watch, WatchFrame, WatchOptions } from "./registry.ts"
import type { WatchedState, WatchHub } from "./watch-hub.ts"

/** Changed services remembered by name; beyond that the next round looks at all of them. */
const maxDirty = 1000

/** One watcher: remembers how far it has seen and which services changed since, never an event. */
export class Subscription implements Watch {
  readonly #hub: WatchHub
  readonly #state: WatchedState
  readonly #options: WatchOptions
  readonly #wake: () => void
  readonly #dirty = new Set<string>()
  /** Whether services without instances were told as empty snapshots of this process. */
  #toldOfEmpty: boolean
  /** Since when this subscriber knows that the store is lost, Unix ms. */
  #toldStale: number | undefined
  /** Everything up to this revision has been handed out; undefined before the first round of one that resumes nothing. */
  #seen: number | undefined
  /** `pending`: waits for a token from the future. `all`: looks at every service in the next round. `changed`: at those that changed. */
  #next: "pending" | "all" | "changed" = "all"
  /** Why everything known so far is void, to be told first. */
  #resetFirst: string | undefined
  /** The token from the future that the subscription waits for. */
  #ahead: WatchToken | undefined
  /** Services that get a snapshot in the first round whatever was seen. */
  #forced: ReadonlySet<string>
  #awake = false
  #closed = false

  constructor(hub: WatchHub, state: WatchedState, options: WatchOptions, wake: () => void) {
    this.#hub = hub
    this.#state = state
    this.#options = options
    this.#wake = wake
    this.#forced = new Set(options.fresh)
    this.#toldOfEmpty = options.services !== undefined && options.resume === undefined
    const { resume } = options
    if (resume === undefined) return
    const { epoch, revision } = state.position
    if (resume.epoch === epoch && resume.revision > revision) {
      this.#next = "pending"
      this.#ahead = resume
      hub.foresee(this, resume)
    } else this.#resume(resume)
  }

  /** Ends the wait for a token from the future: it has come true, or had time to. */
  overtaken(): void {
    const token = this.#ahead
    if (token === undefined || this.#closed) return
    this.#ahead = undefined
    this.#next = "all"
    this.#resume(token)
    this.#hub.overtaken(this)
  }

  /** Everything known so far is void. */
  reset(why: string): void {
    if (this.#ahead !== undefined) return
    this.#seen = undefined
    this.#resetFirst = why
    this.#next = "all"
    this.#dirty.clear()
    this.#toldOfEmpty = this.#options.services !== undefined
  }

  /** Notes that a service changed. */
  mark(service: string): void {
    if (this.#next !== "changed") return
    this.#dirty.add(service)
    if (this.#dirty.size <= maxDirty) return
    this.#dirty.clear()
    this.#next = "all"
  }

  wake(): void {
    if (this.#awake || this.#closed || this.#next === "pending") return
    this.#awake = true
    this.#wake()
  }

  take(): WatchFrame[] {
    this.#awake = false
    if (this.#closed || this.#next === "pending") return []
    const frames = this.#next === "all" ? this.#wholeRound() : this.#changes()
    this.#pushStaleness(frames)
    this.#next = "changed"
    this.#dirty.clear()
    this.#seen = this.#state.position.revision
    const last = frames.pop()
    if (last !== undefined) frames.push(this.#hub.closing(last))
    return frames
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#dirty.clear()
    this.#hub.forget(this, this.#options.services)
  }

  #resume(token: { epoch: string; revision: number }): void {
    const { epoch, revision } = this.#state.position
    if (token.epoch === epoch && token.revision <= revision) this.#seen = token.revision
    else this.#resetFirst = "this registry counts anew, or never got as far as the subscriber's token"
  }

  #wholeRound(): WatchFrame[] {
    const frames: WatchFrame[] = []
    if (this.#resetFirst !== undefined) frames.push(this.#stamped("reset", { why: this.#resetFirst }))
    this.#resetFirst = undefined
    const { services } = this.#options
    const forced = this.#forced
    this.#forced = new Set()
    if (services === undefined) {
      const names: string[] = []
      for (const view of this.#state.views()) {
        if (view.entries.size > 0) names.push(view.name)
        const seen = forced.has(view.name) ? undefined : this.#seen
        if (seen === undefined ? view.entries.size > 0 : view.revision > seen) frames.push(this.#hub.frame(view, seen, false))
      }
      frames.push(this.#stamped("synced", { services: names }))
    } else {
      for (const service of new Set(services)) this.#push(frames, service, forced.has(service) ? undefined : this.#seen)
      frames.push(this.#stamped("synced", {}))
    }
    return frames
  }

  #changes(): WatchFrame[] {
    const frames: WatchFrame[] = []
    for (const service of this.#dirty) this.#push(frames, service, this.#seen)
    return frames
  }

  #push(frames: WatchFrame[], service: string, seen: number | undefined): void {
    const view = this.#state.view(service)
    if (view !== undefined) {
      if (seen === undefined || view.revision > seen) frames.push(this.#hub.frame(view, seen, this.#toldOfEmpty))
    } else if (seen === undefined || seen < this.#state.floor) frames.push(this.#hub.emptySnapshot(service))
  }

  #pushStaleness(frames: WatchFrame[]): void {
    const since = this.#hub.staleSince
    if (since === this.#toldStale) return
    frames.push(since === undefined ? this.#stamped("fresh", {}) : this.#stamped("stale", { since }))
    this.#toldStale = since
  }

  #stamped(event: "synced" | "reset" | "stale" | "fresh", data: Record<string, unknown>): WatchFrame {
    return { event, json: Buffer.from(JSON.stringify({ ...this.#state.position, at: this.#hub.now(), ...data })) }
  }
}
