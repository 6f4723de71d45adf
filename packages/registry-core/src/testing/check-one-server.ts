import { keyText, type Random } from "@meshwork/contract"
import { ManualClock, seededRandom, settle } from "@meshwork/contract/testing"
import type { Registry } from "../registry.ts"
import { KeptData } from "./kept-data.ts"
import { openRegistry } from "./open-registry.ts"
import { type Reachable, SimulatedInstance } from "./simulated-instance.ts"

const stepMs = 250
/** What a step of this simulation, and the timers of a registry, may add to a bound, ms. */
const slackMs = 2500

/** What a run did, and every promise it saw broken. */
export interface OneServerHistory {
  faults: string[]
  tried: Record<"killed" | "closed" | "paused" | "disk full", number>
  gone: number
}

/** Drives one registry over a storage that outlives it through random kills, pauses and failures while instances come, live and die. */
export async function checkOneServer({ seed, seconds }: { seed: number; seconds: number }): Promise<OneServerHistory> {
  const world = new World(seed)
  await world.run(seconds)
  return world.history
}

class World implements Reachable {
  readonly id: string = "server"
  readonly history: OneServerHistory = { faults: [], tried: { killed: 0, closed: 0, paused: 0, "disk full": 0 }, gone: 0 }
  readonly #clock: ManualClock = new ManualClock()
  readonly #data: KeptData = new KeptData(this.#clock)
  readonly #random: Random
  readonly #seed: number
  readonly #instances: SimulatedInstance[] = []
  readonly #gone = new Set<SimulatedInstance>()
  #own: ManualClock = new ManualClock()
  #registry: Registry | undefined
  #late: (() => void)[] = []
  #shown = new Set<string>()
  #behindMs = 0
  #checked = 0
  #soundSince = 0
  #mendAt = Number.POSITIVE_INFINITY
  #faultAt = 20_000
  fault: string | undefined

  constructor(seed: number) {
    this.#random = seededRandom(seed)
    this.#seed = seed
  }

  async run(seconds: number): Promise<void> {
    await this.#start()
    for (let count = 0; count < 20; count++) this.#bear()
    for (let at = 0; at < seconds * 1000; at += stepMs) {
      await this.#disturb()
      const living = this.#instances.filter((instance) => instance.lives && instance.acknowledgedAt !== undefined)
      if (this.#random() < 0.02) this.#bear()
      if (this.#random() < 0.015) living[Math.floor(this.#random() * living.length)]?.die()
      if (this.#random() < 0.0015) for (const instance of living.filter(({ key }) => key.service === "b")) instance.die()
      await this.#step()
    }
    await this.#mend()
    for (let at = 0; at < 360_000; at += stepMs) await this.#step()
    const expected = this.#instances.filter(({ lives }) => lives).map(({ key }) => keyText(key))
    if ([...this.#shown].sort().join() !== expected.sort().join()) this.#say(`it shows ${[...this.#shown].join()} in the end, not ${expected.join()}`)
    for (const instance of this.#instances) instance.die()
    await this.#registry?.close()
  }

  /** Does something at the server: at once, when it goes on, or never. */
  call<T>(work: (registry: Registry) => T | Promise<T>): Promise<T> {
    if (this.#registry === undefined) return Promise.reject(new Error("connection refused"))
    return new Promise((resolve, reject) => {
      const run = () =>
        void Promise.resolve(this.#registry)
          .then((registry) => (registry ? work(registry) : Promise.reject(new Error("ended"))))
          .then(resolve, reject)
      if (this.fault === "paused") this.#late.push(run)
      else run()
    })
  }

  async #start(): Promise<void> {
    this.#own = new ManualClock(this.#clock.now())
    const probeSuspect = ({ port }: { port: number }) =>
      Promise.resolve(this.#instances.some((instance) => instance.port === port && (instance.diedAt === undefined || instance.unreachable)))
    this.#registry = (await openRegistry({ clock: this.#own, storage: this.#data.storage(), probeSuspect })).registry
  }

  async #step(): Promise<void> {
    await this.#clock.advance(stepMs)
    if (this.fault === "paused") this.#behindMs += stepMs
    else if (this.#registry) await this.#own.advance(stepMs)
    this.#checkRemovals()
    if (this.#registry && this.fault !== "paused") this.#checkView(this.#registry)
  }

  #say(text: string): void {
    this.history.faults.push(`seed ${this.#seed}, ${(this.#clock.monotonic() / 1000).toFixed(1)} s: ${text}`)
  }

  #bear(): void {
    if (this.#instances.filter(({ lives }) => lives).length > 40) return
    const port = 1000 + this.#instances.length
    const key = { service: this.#random() < 0.5 ? "a" : "b", id: `i${port}` }
    const ttlSeconds = [6, 10, 30][Math.floor(this.#random() * 3)] ?? 30
    const unreachable = this.#random() < 0.2
    const instance = new SimulatedInstance(key, { port, ttlSeconds, unreachable, clock: this.#clock, random: this.#random, servers: () => [this] })
    this.#instances.push(instance)
    void instance.live()
  }

  async #disturb(): Promise<void> {
    const now = this.#clock.monotonic()
    if (now >= this.#mendAt) return this.#mend()
    if (now < this.#faultAt || this.#mendAt !== Number.POSITIVE_INFINITY) return
    this.#soundSince = Number.POSITIVE_INFINITY
    this.#mendAt = now + ([500, 3000, 7000, 40_000][Math.floor(this.#random() * 4)] ?? 500)
    const fault = (["killed", "closed", "paused", "disk full"] as const)[Math.floor(this.#random() * 4)] ?? "killed"
    this.history.tried[fault]++
    this.fault = fault
    if (fault === "disk full") this.#data.fault = new Error("the disk is full")
    if (fault === "closed") await this.#registry?.close()
    // A killed one never runs again: nobody moves its clock.
    if (fault === "closed" || fault === "killed") this.#registry = undefined
  }

  async #mend(): Promise<void> {
    this.fault = undefined
    this.#data.fault = undefined
    if (this.#registry === undefined) await this.#start()
    this.#own.pause(this.#behindMs)
    this.#behindMs = 0
    for (const call of this.#late.splice(0)) call()
    await settle()
    this.#soundSince = this.#clock.monotonic()
    this.#mendAt = Number.POSITIVE_INFINITY
    this.#faultAt = this.#soundSince + ([1000, 10_000, 40_000][Math.floor(this.#random() * 3)] ?? 1000)
  }

  #checkRemovals(): void {
    for (; this.#checked < this.#data.ops.length; this.#checked++) {
      const op = this.#data.ops[this.#checked]
      if (op?.op !== "delete") continue
      const instance = this.#instances.find(({ key }) => keyText(key) === keyText(op.key))
      if (!/^lease expired(: | before the registry stopped: )(last heartbeat|no heartbeat) /.test(op.cause.why))
        this.#say(`a removal says: ${op.cause.why}`)
      if (instance?.lives) this.#say(`${keyText(op.key)} lives and was removed: ${op.cause.why}; ${instance.story}`)
      const said = this.#registry?.journal({ ...op.key, limit: 1 })[0]
      if (this.#registry && this.#data.fault === undefined && said?.why !== op.cause.why)
        this.#say(`the journal says of ${keyText(op.key)}: ${said?.why}`)
    }
  }

  #checkView(registry: Registry): void {
    const now = this.#clock.monotonic()
    const shown = new Set(["a", "b"].flatMap((service) => registry.list(service).instances.map(keyText)))
    for (const instance of this.#instances) {
      const { key, lives, diedAt, unreachable, ttlSeconds } = instance
      const text = keyText(key)
      if (lives && this.#shown.has(text) && !shown.has(text)) this.#say(`it shows ${text} no more, which lives; ${instance.story}`)
      if (diedAt === undefined || this.#gone.has(instance)) continue
      const settledAt = Math.max(diedAt, this.#soundSince)
      if (!shown.has(text) && now > settledAt) this.#gone.add(instance)
      else if (now > settledAt + ttlSeconds * 1000 + slackMs + (unreachable ? 300_000 : 0)) {
        this.#gone.add(instance)
        this.#say(`${text} has been dead for ${(now - diedAt) / 1000} s and is still there`)
      }
    }
    this.history.gone = this.#gone.size
    this.#shown = shown
  }
}
