import { ManualClock, settle } from "@meshwork/contract/testing"
import type { Registry } from "../registry.ts"
import { openRegistry } from "./open-registry.ts"
import type { SharedData, SharedLink } from "./shared-data.ts"

/** What is wrong with a simulated server: it does not run any more, stands still, or its link to the store is cut, loses answers or is slow. */
export type ServerFault = "killed" | "paused" | "cut" | "deaf" | "slow"

/** A take-over that is this late leaves the shortest leases enough time to be taken back. */
const slowMs = 300

/** A discovery server of a simulation, with clocks of its own. */
export class SimulatedServer {
  readonly id: string
  readonly registry: Registry
  readonly joinedAt: number
  readonly #clock: ManualClock
  readonly #link: SharedLink
  /** Calls that arrived while it stood still. */
  #late: (() => void)[] = []
  #behindMs = 0
  fault: ServerFault | undefined

  private constructor(id: string, registry: Registry, clock: ManualClock, link: SharedLink, joinedAt: number) {
    this.id = id
    this.registry = registry
    this.joinedAt = joinedAt
    this.#clock = clock
    this.#link = link
  }

  /** Starts one whose wall clock shows `wall`. */
  static async join(
    id: string,
    data: SharedData,
    options: { wall: number; at: number; probeSuspect: (target: { host: string; port: number }) => Promise<boolean> },
  ): Promise<SimulatedServer> {
    const clock = new ManualClock(options.wall)
    const link = data.storage(clock)
    const server = { id, url: `http://${id}:8008` }
    const { registry } = await openRegistry({ clock, storage: link, server, probeSuspect: options.probeSuspect })
    return new SimulatedServer(id, registry, clock, link, options.at)
  }

  /** Whether it runs, whatever it reaches. */
  get runs(): boolean {
    return this.fault !== "killed" && this.fault !== "paused"
  }

  begin(fault: ServerFault): void {
    this.fault = fault
    this.#link.paused = fault === "paused"
    this.#link.cut = fault === "cut" || fault === "killed"
    this.#link.deaf = fault === "deaf"
    this.#link.lagMs = fault === "slow" ? slowMs : 0
  }

  /** Ends what was wrong; whoever stood still finds the time gone, and then what came meanwhile. */
  async mend(): Promise<void> {
    this.fault = undefined
    this.#link.paused = false
    this.#link.cut = false
    this.#link.deaf = false
    this.#link.lagMs = 0
    this.#clock.pause(this.#behindMs)
    this.#behindMs = 0
    for (const call of this.#late.splice(0)) call()
    await settle()
  }

  async advance(ms: number): Promise<void> {
    if (this.fault === "killed") return
    if (this.fault === "paused") this.#behindMs += ms
    else await this.#clock.advance(ms)
  }

  /** Does something at this server: at once, when it goes on, or never. */
  call<T>(work: (registry: Registry) => T | Promise<T>): Promise<T> {
    if (this.fault === "killed") return Promise.reject(new Error("connection refused"))
    return new Promise((resolve, reject) => {
      const run = () =>
        void Promise.resolve()
          .then(() => work(this.registry))
          .then(resolve, reject)
      if (this.fault === "paused") this.#late.push(run)
      else run()
    })
  }

  async close(): Promise<void> {
    if (this.fault !== "killed") await this.registry.close()
  }
}
