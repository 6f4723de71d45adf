import { keyText, type Random } from "@meshwork/contract"
import { ManualClock, seededRandom } from "@meshwork/contract/testing"
import { SharedData } from "./shared-data.ts"
import { SimulatedInstance } from "./simulated-instance.ts"
import { type ServerFault, SimulatedServer } from "./simulated-server.ts"

const stepMs = 250
const services = ["a", "b", "c"]
/** What a step of this simulation, and the timers of a registry, may add to a bound, ms. */
const slackMs = 2000

export interface ManyServersOptions {
  seed: number
  servers: number
  /** Virtual time with faults, s; a quiet time follows. */
  seconds: number
}

/** What a run did, and every promise it saw broken. */
export interface ManyServersHistory {
  faults: string[]
  /** How often each of these was tried. */
  tried: Record<ServerFault | "store away" | "compacted" | "joined", number>
  died: number
  expired: number
}

/** Drives several registries over one store through random kills, pauses, cuts and outages while instances come, live, die and leave. */
export async function checkManyServers(options: ManyServersOptions): Promise<ManyServersHistory> {
  const world = new World(options)
  await world.run(options.seconds)
  return world.history
}

class World {
  readonly history: ManyServersHistory = {
    faults: [],
    tried: { killed: 0, paused: 0, cut: 0, deaf: 0, slow: 0, "store away": 0, compacted: 0, joined: 0 },
    died: 0,
    expired: 0,
  }
  readonly #clock: ManualClock = new ManualClock()
  readonly #data: SharedData = new SharedData(this.#clock)
  readonly #random: Random
  readonly #seed: number
  readonly #size: number
  #servers: SimulatedServer[] = []
  readonly #instances: SimulatedInstance[] = []
  readonly #byPort = new Map<number, SimulatedInstance>()
  /** What each server shows of each service, and everybody it ever showed. */
  readonly #shown = new Map<string, Set<string>>()
  readonly #known = new Set<string>()
  /** Dead ones that are gone. */
  readonly #seenGone = new Set<SimulatedInstance>()
  #ports = 1000
  #joined = 0
  #checked = 0
  /** When the last fault was mended; Infinity while there is one. */
  #soundSince = 0
  #mendAt = Number.POSITIVE_INFINITY
  #faultAt = 20_000

  constructor({ seed, servers }: ManyServersOptions) {
    this.#random = seededRandom(seed)
    this.#seed = seed
    this.#size = servers
  }

  async run(seconds: number): Promise<void> {
    while (this.#servers.length < this.#size) await this.#join()
    for (let count = 0; count < 24; count++) this.#bear()
    for (let at = 0; at < seconds * 1000; at += stepMs) {
      await this.#disturb()
      if (this.#chance(0.02)) this.#bear()
      if (this.#chance(0.015)) this.#living()[0]?.die()
      if (this.#chance(0.01)) void this.#living()[0]?.leave()
      // A whole service's host that goes away, now and then.
      if (this.#chance(0.0015)) for (const instance of this.#living().filter(({ key }) => key.service === "c")) instance.die()
      await this.#step()
    }
    await this.#mend()
    // As long as the longest lease, a lost keeper, and an unreachable host held as suspect.
    for (let at = 0; at < 360_000; at += stepMs) await this.#step()
    this.#checkEnd()
    for (const instance of this.#instances) instance.die()
    for (const server of this.#servers) await server.close()
  }

  async #step(): Promise<void> {
    await this.#clock.advance(stepMs)
    for (const server of this.#servers) await server.advance(stepMs)
    this.#checkRemovals()
    this.#checkViews()
    this.#checkDead()
  }

  #fault(text: string): void {
    if (process.env.TR)
      console.log("D F", this.#servers.map((x) => x.id).join(), text, this.#instances.find((i) => i.key.id === process.env.TR)?.story)
    this.history.faults.push(`seed ${this.#seed}, ${(this.#clock.monotonic() / 1000).toFixed(1)} s: ${text}`)
  }

  #chance(share: number): boolean {
    return this.#random() < share
  }

  #pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)] as T
  }

  /** Who lives and is known, in random order. */
  #living(): SimulatedInstance[] {
    const living = this.#instances.filter((instance) => instance.lives && instance.acknowledgedAt !== undefined)
    return living.length === 0 ? [] : [this.#pick(living), ...living]
  }

  async #join(): Promise<void> {
    const wall = 1_700_000_000_000 + Math.floor((this.#random() - 0.5) * 7_200_000)
    const server = await SimulatedServer.join(`server-${this.#joined++}`, this.#data, {
      wall,
      at: this.#clock.monotonic(),
      // A port of a host that is gone says nothing; one of a process that is gone refuses.
      probeSuspect: ({ port }) => Promise.resolve(this.#byPort.get(port)?.diedAt === undefined || this.#byPort.get(port)?.unreachable === true),
    })
    this.#servers.push(server)
  }

  #bear(): void {
    if (this.#instances.filter(({ lives }) => lives).length > 60) return
    const port = this.#ports++
    const key = { service: this.#pick(services), id: `i${port}` }
    const instance = new SimulatedInstance(key, {
      port,
      ttlSeconds: this.#pick([6, 10, 30]),
      unreachable: this.#chance(0.2),
      clock: this.#clock,
      random: this.#random,
      servers: () => this.#servers,
    })
    this.#instances.push(instance)
    this.#byPort.set(port, instance)
    void instance.live()
  }

  /** Begins a fault, or ends it: one server fails in some way, or nobody reaches the store. */
  async #disturb(): Promise<void> {
    const now = this.#clock.monotonic()
    if (this.#chance(0.003)) {
      this.#data.compact()
      this.history.tried.compacted++
    }
    if (now >= this.#mendAt) return this.#mend()
    if (now < this.#faultAt || this.#mendAt !== Number.POSITIVE_INFINITY) return
    this.#soundSince = Number.POSITIVE_INFINITY
    this.#mendAt = now + this.#pick([500, 1000, 3000, 7000, 15_000, 40_000])
    if (this.#chance(0.2)) {
      this.history.tried["store away"]++
      if (process.env.TR) console.log("D fault", this.#clock.monotonic(), this.#mendAt, "away")
      for (const server of this.#servers) server.begin("cut")
      return
    }

    const [first, second] = this.#random() < 0.5 ? this.#servers : this.#servers.toReversed()
    this.#fail(first, this.#pick(["killed", "paused", "cut", "deaf", "slow"]))
    // Two that stand still would keep a caller from the third for longer than a short lease.
    if (this.#servers.length > 2 && this.#chance(0.3)) this.#fail(second, this.#pick(["killed", "cut", "deaf", "slow"]))
  }

  #fail(server: SimulatedServer | undefined, fault: ServerFault): void {
    server?.begin(fault)
    if (process.env.TR) console.log("D fault", this.#clock.monotonic(), this.#mendAt, fault, server?.id)
    this.history.tried[fault]++
  }

  async #mend(): Promise<void> {
    const now = this.#clock.monotonic()
    const killed = this.#servers.filter(({ fault }) => fault === "killed")
    this.#servers = this.#servers.filter(({ fault }) => fault !== "killed")
    for (const server of this.#servers) if (server.fault) await server.mend()
    for (const _ of killed) {
      this.history.tried.joined++
      await this.#join()
    }
    this.#soundSince = now
    this.#mendAt = Number.POSITIVE_INFINITY
    this.#faultAt = now + this.#pick([1000, 5000, 10_000, 40_000])
  }

  /** What was removed from the store: nobody who lives, and everybody for a reason. */
  #checkRemovals(): void {
    for (; this.#checked < this.#data.applied.length; this.#checked++) {
      const op = this.#data.applied[this.#checked]

      if (op?.op === "put" && process.env.TR === op.record.id) console.log("D", this.#clock.monotonic(), op.record.keeper, op.cause.why)
      if (op?.op !== "delete") continue
      const instance = this.#instances.find(({ key }) => keyText(key) === keyText(op.key))
      const { what, why } = op.cause
      if (what === "expired") this.history.expired++
      if (what !== "expired" && what !== "deregistered") this.#fault(`${keyText(op.key)} was removed as ${what}`)
      if (what === "expired" && !/^lease expired: (last heartbeat|no heartbeat) /.test(why)) this.#fault(`a removal says only: ${why}`)
      if (instance?.lives) this.#fault(`${keyText(op.key)} lives and was removed: ${why}; ${instance.story}`)
    }
  }

  /** No service with members that live is ever shown empty where it was shown with members. */
  #checkViews(): void {
    for (const server of this.#servers) {
      if (!server.runs) continue
      for (const service of services) {
        const listed = new Set(server.registry.list(service).instances.map(({ id }) => id))
        const before = this.#shown.get(`${server.id} ${service}`)
        this.#shown.set(`${server.id} ${service}`, listed)
        for (const id of listed) this.#known.add(`${server.id} ${service}/${id}`)
        for (const { key, lives } of this.#instances) {
          if (lives && key.service === service && before?.has(key.id) && !listed.has(key.id))
            this.#fault(`${server.id} shows ${key.id} no more, which lives`)
        }
        if (listed.size === 0 && (before?.size ?? 0) > 0 && this.#living().some(({ key }) => key.service === service)) {
          this.#fault(`${server.id} shows ${service} empty`)
        }
      }
    }
  }

  /** Whoever is dead goes in bounded time, counted from when everything was sound. */
  #checkDead(): void {
    const now = this.#clock.monotonic()
    for (const instance of this.#instances) {
      const { diedAt, key, ttlSeconds, unreachable } = instance
      if (diedAt === undefined || this.#seenGone.has(instance)) continue
      const present = this.#servers.some((server) => server.runs && server.registry.get(key) !== undefined)
      const settledAt = Math.max(diedAt, this.#soundSince)
      if (!present && now > settledAt) {
        this.#seenGone.add(instance)
        this.history.died++
      } else if (now > settledAt + ttlSeconds * 1000 + 12_000 + slackMs + (unreachable ? 300_000 : 0)) {
        this.#seenGone.add(instance)
        this.#fault(`${keyText(key)} has been dead for ${(now - diedAt) / 1000} s and is still there`)
      }
    }
  }

  /** In the end all servers show the same: everybody who lives, and nobody else. */
  #checkEnd(): void {
    const expected = this.#instances.filter(({ lives }) => lives).map(({ key }) => keyText(key))
    for (const { id, registry } of this.#servers) {
      const listed = services.flatMap((service) => registry.list(service).instances.map(keyText))
      if (listed.sort().join() !== expected.sort().join()) this.#fault(`${id} shows ${listed.join()} in the end, and there are ${expected.join()}`)
    }
    for (const op of this.#data.applied.slice(-200)) {
      if (op.op !== "delete") continue
      for (const { id, registry, joinedAt } of this.#servers) {
        if (joinedAt > 0) continue
        const entry = registry.journal({ ...op.key, limit: 1 })[0]
        // Who came and went while a server was away was never known to it.
        if (entry === undefined && !this.#known.has(`${id} ${keyText(op.key)}`)) continue
        if (entry?.why !== op.cause.why || entry.what !== op.cause.what) this.#fault(`the journal of ${id} says of ${keyText(op.key)}: ${entry?.why}`)
      }
    }
  }
}
