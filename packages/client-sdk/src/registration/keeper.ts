import { type Clock, formatHostPort, MeshError, type Random, type RegistrationInput, sleep, type Timer } from "@meshwork/contract"
import type { DiscoveryApi } from "../discovery-api/index.ts"
import type { LoadMeter } from "../server/load-meter.ts"
import type { MeshRegistration, RegisterOptions, RegistrationState } from "./registration-options.ts"
import { stopServer } from "./stop-server.ts"

const firstRetryMs = 200
const longestRetryMs = 5000
const farewellMs = 2000

export interface KeeperOptions {
  api: DiscoveryApi
  clock: Clock
  random: Random
  /** Random text of this process run. */
  boot: string
  load: LoadMeter
  log: (level: "info" | "warn", message: string) => void
}

/** Keeps one instance registered: heartbeats, registers again when the registry has forgotten it, survives its absence. */
export class RegistrationKeeper implements MeshRegistration {
  readonly service: string
  readonly id: string
  readonly #options: KeeperOptions
  readonly #register: RegisterOptions
  readonly #body: RegistrationInput
  readonly #stop = new AbortController()
  #state: RegistrationState = "retrying"
  #timer: Timer | undefined
  #failures = 0
  #busy: Promise<void> = Promise.resolve()
  #drained: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(register: RegisterOptions, options: KeeperOptions) {
    const { service, id, signals: _s, server: _v, drainDelayMs: _d, graceMs: _g, startTimeoutMs: _t, ...rest } = register
    this.service = service
    this.id = id ?? formatHostPort(register.host, register.port)
    this.#options = options
    this.#register = register
    this.#body = { ...rest, boot: options.boot }
  }

  get state(): RegistrationState {
    return this.#state
  }

  /** Resolves when registered, or after the start time-out with the state `retrying`; rejects only when refused. */
  async start(): Promise<void> {
    const waiting = new AbortController()
    const refused = this.#untilRegistered()
    const limit = sleep(this.#options.clock, this.#register.startTimeoutMs ?? 5000, waiting.signal)
    // Whoever loses the race is still listened to, so that a refusal that comes late is logged and not unhandled.
    refused.catch((error: unknown) => this.#state !== "closed" && this.#options.log("warn", MeshError.from(error).message))
    try {
      await Promise.race([refused, limit])
    } finally {
      waiting.abort()
    }
  }

  drain(): Promise<void> {
    this.#drained ??= this.#sayDraining()
    return this.#drained
  }

  close(): Promise<void> {
    this.#closed ??= this.#leave()
    return this.#closed
  }

  async #untilRegistered(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#put()
        return
      } catch (thrown) {
        const error = MeshError.from(thrown)
        if (refusal(error)) throw error
        this.#noteFailure(error)
        await sleep(this.#options.clock, this.#backoff(), this.#stop.signal)
      }
    }
  }

  async #put(): Promise<void> {
    const { api } = this.#options
    await api.call("register", { params: this.#key, body: this.#body }, { signal: this.#stop.signal, timeoutMs: this.#requestMs })
    if (this.#failures > 0) this.#options.log("info", `${this.service}/${this.id} is registered again`)
    this.#failures = 0
    if (this.#state === "retrying") this.#state = "registered"
    if (this.#state === "draining") await this.#patchDraining()
    this.#schedule()
  }

  #schedule(): void {
    this.#timer?.cancel()
    const { ttlSeconds = 30 } = this.#body
    if (ttlSeconds === 0 || this.#stop.signal.aborted) return
    const third = (ttlSeconds * 1000) / 3
    this.#timer = this.#options.clock.timer(third * (0.9 + this.#options.random() * 0.2), () => {
      this.#busy = this.#beat()
    })
    this.#timer.unref()
  }

  async #beat(): Promise<void> {
    const { api, boot, load } = this.#options
    try {
      await api.call("heartbeat", { params: this.#key, body: { boot, load: load.read() } }, { signal: this.#stop.signal, timeoutMs: this.#requestMs })
      this.#failures = 0
      this.#schedule()
    } catch (thrown) {
      if (this.#stop.signal.aborted) return
      const error = MeshError.from(thrown)
      if (error.code !== "not_found") this.#noteFailure(error)
      else this.#options.log("info", `the registry does not know ${this.service}/${this.id} any more: registering again`)
      // A registry that lost its memory is met by everyone at once: spread over a moment.
      await sleep(this.#options.clock, error.code === "not_found" ? this.#options.random() * 300 : this.#backoff(), this.#stop.signal)
      await this.#untilRegistered().catch((refused: unknown) => this.#giveUpFor(MeshError.from(refused)))
    }
  }

  /** Refused after it was accepted once, as by a changed token: said aloud, and tried again at the pace of heartbeats. */
  #giveUpFor(error: MeshError): void {
    if (this.#stop.signal.aborted) return
    this.#options.log("warn", `the registry refuses ${this.service}/${this.id}: ${error.message}`)
    this.#state = "retrying"
    this.#schedule()
  }

  async #sayDraining(): Promise<void> {
    if (this.#state === "closed") return
    const registered = this.#state === "registered"
    this.#state = "draining"
    if (registered) await this.#patchDraining()
  }

  async #patchDraining(): Promise<void> {
    const { api, boot } = this.#options
    try {
      await api.call("patchInstance", { params: this.#key, query: { boot }, body: { state: "draining" } }, { timeoutMs: farewellMs })
    } catch (error) {
      this.#options.log("warn", `could not say that ${this.service}/${this.id} drains: ${MeshError.from(error).message}`)
    }
  }

  async #leave(): Promise<void> {
    const { clock, api, boot } = this.#options
    const known = this.#state !== "retrying"
    await this.drain()
    if (known) await sleep(clock, this.#register.drainDelayMs ?? 1000)
    if (this.#register.server) await stopServer(this.#register.server, clock, this.#register.graceMs ?? 8000)
    this.#state = "closed"
    this.#stop.abort()
    this.#timer?.cancel()
    await this.#busy
    try {
      await api.call("deregister", { params: this.#key, query: { boot } }, { timeoutMs: farewellMs })
    } catch (thrown) {
      const error = MeshError.from(thrown)
      if (error.code !== "not_found") this.#options.log("warn", `could not deregister ${this.service}/${this.id}: ${error.message}`)
    }
  }

  get #key(): { service: string; id: string } {
    return { service: this.service, id: this.id }
  }

  /** Limit of one request, so that another server is tried well before the lease ends. */
  get #requestMs(): number {
    return Math.max(1000, ((this.#body.ttlSeconds ?? 30) * 1000) / 6)
  }

  #backoff(): number {
    return Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(this.#failures, 10)) * (0.5 + this.#options.random() / 2)
  }

  #noteFailure(error: MeshError): void {
    if (this.#failures++ === 0) this.#options.log("warn", `${this.service}/${this.id} cannot reach a registry: ${error.message}; trying on`)
  }
}

/** Whether trying again cannot help. */
function refusal(error: MeshError): boolean {
  return (
    error.status >= 400 && error.status < 500 && error.code !== "limit_exceeded" && error.code !== "deadline_exceeded" && error.code !== "aborted"
  )
}
