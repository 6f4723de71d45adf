import { type Clock, MeshError, type Timer, type WatchToken } from "@meshwork/contract"
import type { Watch, WatchFrame, WatchOptions } from "./registry.ts"
import type { ServiceView } from "./service-view.ts"
import { Subscription } from "./subscription.ts"

const coalesceMs = 20
const futureTokenPatienceMs = 2000

/** What the hub needs to know of the registry. */
export interface WatchedState {
  readonly position: WatchToken
  /** A subscriber that left off before this may lack the removal of whole services. */
  readonly floor: number
  views(): Iterable<ServiceView>
  view(service: string): ServiceView | undefined
}

/** All subscriptions of a registry: a change in one service wakes only its watchers, bursts are coalesced, frames are shared. */
export class WatchHub {
  readonly #state: WatchedState
  readonly #clock: Clock
  readonly #limit: number
  readonly #all = new Set<Subscription>()
  readonly #byService = new Map<string, Set<Subscription>>()
  readonly #waiting = new Set<Subscription>()
  /** Those with a token from the future. */
  readonly #ahead = new Map<Subscription, WatchToken>()
  #staleSince: number | undefined
  readonly #frames = new WeakMap<ServiceView, { revision: number; snapshot?: WatchFrame; changes: Map<number, WatchFrame> }>()
  readonly #closing = new WeakMap<WatchFrame, WatchFrame>()
  #count = 0
  #timer: Timer | undefined

  constructor(state: WatchedState, clock: Clock, limit: number) {
    this.#state = state
    this.#clock = clock
    this.#limit = limit
  }

  /** Subscriptions at present. */
  get size(): number {
    return this.#count
  }

  watch(options: WatchOptions, wake: () => void): Watch {
    if (this.#count >= this.#limit) throw new MeshError("limit_exceeded", `the limit of ${this.#limit} watchers is reached`)
    this.#count++
    const subscription = new Subscription(this, this.#state, options, wake)
    if (options.services === undefined) this.#all.add(subscription)
    for (const service of options.services ?? []) {
      const watchers = this.#byService.get(service) ?? new Set()
      this.#byService.set(service, watchers.add(subscription))
    }
    this.#await(subscription)
    return subscription
  }

  /** Marks a service as changed for everyone who watches it. */
  changed(service: string): void {
    for (const subscription of this.#all) this.#mark(subscription, service)
    for (const subscription of this.#byService.get(service) ?? []) this.#mark(subscription, service)
  }

  /** Has subscribers look whose token was from the future, if it has come true. */
  advanced(): void {
    if (this.#ahead.size === 0) return
    const { epoch, revision } = this.#state.position
    for (const [subscription, token] of this.#ahead) if (token.epoch !== epoch || token.revision <= revision) subscription.overtaken()
  }

  /** Has every subscriber begin anew. */
  reset(why: string): void {
    for (const subscription of this.#everyone()) {
      subscription.reset(why)
      this.#await(subscription)
    }
  }

  /** Tells every subscriber that the store was lost, and since when in Unix ms; or, without, that it is back. */
  stale(since: number | undefined): void {
    this.#staleSince = since
    for (const subscription of this.#everyone()) this.#await(subscription)
  }

  /** Unix ms since when the store is lost; undefined while it is reached. */
  get staleSince(): number | undefined {
    return this.#staleSince
  }

  /** The frame that brings a subscriber who saw everything up to `seen` to the present state of a service; shared by all who hold the same. */
  frame(view: ServiceView, seen: number | undefined, toldOfEmpty: boolean): WatchFrame {
    let cached = this.#frames.get(view)
    if (cached?.revision !== view.revision) this.#frames.set(view, (cached = { revision: view.revision, changes: new Map() }))
    const from = seen === undefined ? undefined : view.heldBy(seen, toldOfEmpty)
    view.handOut()
    if (from === undefined) return (cached.snapshot ??= this.#snapshot(view))
    let frame = cached.changes.get(from)
    if (frame === undefined) {
      const changes = view.changesSince(from)
      const upserted = changes.upserted.map((entry) => entry.json).join()
      const removed = JSON.stringify(changes.removed.map(({ id, why }) => ({ id, why })))
      frame = this.#make("change", view.name, view.revision, `"from":${from},"upserted":[${upserted}],"removed":${removed}`)
      cached.changes.set(from, frame)
    }
    return frame
  }

  /** The frame as the last one of a round; shared by all watchers whose round ends with it at the same position. */
  closing(frame: WatchFrame): WatchFrame {
    const token = this.#state.position
    const known = this.#closing.get(frame)
    if (known?.token?.revision === token.revision) return known
    const closing = { ...frame, token }
    this.#closing.set(frame, closing)
    return closing
  }

  /** A snapshot of a service nobody has registered in. */
  emptySnapshot(service: string): WatchFrame {
    return this.#make("snapshot", service, this.#state.position.revision, `"instances":[]`)
  }

  /** Has the subscription told when its token comes true, or has had time to. */
  foresee(subscription: Subscription, token: WatchToken): void {
    this.#ahead.set(subscription, token)
    this.#clock.timer(futureTokenPatienceMs, () => subscription.overtaken()).unref()
  }

  /** No longer waits for the subscription's token. */
  overtaken(subscription: Subscription): void {
    this.#ahead.delete(subscription)
    this.#await(subscription)
  }

  now(): number {
    return this.#clock.now()
  }

  /** Has the subscription woken after the coalescing interval. */
  wakeSoon(subscription: Subscription): void {
    this.#await(subscription)
  }

  forget(subscription: Subscription, services: readonly string[] | undefined): void {
    this.#count--
    this.#all.delete(subscription)
    this.#waiting.delete(subscription)
    this.#ahead.delete(subscription)
    for (const service of services ?? []) {
      const watchers = this.#byService.get(service)
      watchers?.delete(subscription)
      if (watchers?.size === 0) this.#byService.delete(service)
    }
  }

  close(): void {
    this.#timer?.cancel()
    this.#waiting.clear()
  }

  *#everyone(): Iterable<Subscription> {
    yield* this.#all
    const seen = new Set<Subscription>()
    for (const subscriptions of this.#byService.values()) {
      for (const subscription of subscriptions) {
        if (seen.has(subscription)) continue
        seen.add(subscription)
        yield subscription
      }
    }
  }

  #snapshot(view: ServiceView): WatchFrame {
    const instances = view.sorted().map((entry) => entry.json)
    return this.#make("snapshot", view.name, view.revision, `"instances":[${instances.join()}]`)
  }

  #make(event: "snapshot" | "change", service: string, revision: number, rest: string): WatchFrame {
    const { epoch } = this.#state.position
    const stamp = `"epoch":${JSON.stringify(epoch)},"revision":${revision},"at":${this.#clock.now()}`
    return { event, json: Buffer.from(`{${stamp},"service":${JSON.stringify(service)},${rest}}`) }
  }

  #mark(subscription: Subscription, service: string): void {
    subscription.mark(service)
    this.#await(subscription)
  }

  #await(subscription: Subscription): void {
    this.#waiting.add(subscription)
    this.#timer ??= this.#clock.timer(coalesceMs, () => this.#wakeAll()).unref()
  }

  #wakeAll(): void {
    this.#timer = undefined
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const subscription of waiting) subscription.wake()
  }
}
