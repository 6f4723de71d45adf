import { type EventLoopUtilization, monitorEventLoopDelay, performance } from "node:perf_hooks"
import type { Load } from "@meshwork/contract"

const resolutionMs = 20
const refreshEvery = 64

/** The load of this process: event-loop lag, utilisation and requests in flight. Cheap enough to be told with every answer. */
export class LoadMeter {
  #inFlight = 0
  #delay: ReturnType<typeof monitorEventLoopDelay> | undefined
  #before: EventLoopUtilization = performance.eventLoopUtilization()
  #lagMs = 0
  #since = 0

  enter(): void {
    this.#inFlight++
  }

  leave(): void {
    this.#inFlight--
  }

  /** Requests in flight. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** Value of `X-Meshwork-Load`. */
  header(): string {
    if (this.#since++ % refreshEvery === 0) this.#measure()
    return `lag=${this.#lagMs},inflight=${this.#inFlight}`
  }

  /** What a heartbeat tells. */
  read(): Load {
    this.#measure()
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, this.#before)
    this.#before = now
    return { lagMs: this.#lagMs, utilisation: Math.round(utilization * 1000) / 1000, inFlight: this.#inFlight }
  }

  #measure(): void {
    if (this.#delay === undefined) {
      this.#delay = monitorEventLoopDelay({ resolution: resolutionMs })
      this.#delay.enable()
      return
    }
    // The histogram counts the whole interval between its own ticks.
    const mean = this.#delay.mean
    this.#lagMs = Number.isFinite(mean) ? Math.max(0, Math.round(mean / 1e6 - resolutionMs)) : 0
    this.#delay.reset()
  }
}

/** The one of this process: contexts of servers feed it, heartbeats tell it. */
export const processLoad: LoadMeter = new LoadMeter()
