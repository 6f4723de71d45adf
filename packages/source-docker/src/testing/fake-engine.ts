import type { Container, ContainerDetail, DockerEngine, EngineEvent } from "../engine.ts"

/** An engine of which a test decides everything: what it lists, says and refuses. */
export class FakeEngine implements DockerEngine {
  readonly address: string = "unix:///fake.sock"
  containers: Container[] = []
  details: Map<string, ContainerDetail> = new Map()
  /** While set, every call is refused. */
  down = false
  /** How many lists fail from now on. */
  failLists = 0
  lists = 0
  connections = 0
  /** Lists under way at once, at most. */
  concurrent = 0
  sinces: (string | undefined)[] = []
  #running = 0
  #nano = 1_700_000_000_000_000_000n
  #hold: Promise<void> | undefined
  readonly #streams = new Set<{ queue: EngineEvent[]; wake: () => void; over: boolean }>()

  async info(): Promise<{ id: string; name: string }> {
    this.#refuse()
    return { id: "ENGINE", name: "fake" }
  }

  async list(): Promise<Container[]> {
    this.#refuse()
    this.lists++
    this.#running++
    this.concurrent = Math.max(this.concurrent, this.#running)
    // What a list shows is what was so when it began.
    const containers = [...this.containers]
    await this.#hold
    this.#running--
    if (this.failLists > 0) {
      this.failLists--
      throw new Error("a list failed")
    }
    return containers
  }

  async inspect(id: string): Promise<ContainerDetail | undefined> {
    this.#refuse()
    return this.details.get(id)
  }

  async events({ since }: { since?: string }, signal: AbortSignal): Promise<AsyncIterable<EngineEvent>> {
    this.#refuse()
    this.connections++
    this.sinces.push(since)
    const stream = { queue: [] as EngineEvent[], wake: (): void => {}, over: false }
    this.#streams.add(stream)
    signal.addEventListener("abort", () => {
      stream.over = true
      stream.wake()
    })
    return this.#read(stream)
  }

  /** Something happens; tells it. */
  say(action: string, container = "", more: Partial<EngineEvent> = {}): void {
    this.#nano += 1_000_000n
    const event = { type: "container", action, container, timeNano: String(this.#nano), ...more }
    for (const stream of this.#streams) {
      stream.queue.push(event)
      stream.wake()
    }
  }

  /** Cuts every stream of events. */
  cut(): void {
    for (const stream of this.#streams) {
      stream.over = true
      stream.wake()
    }
  }

  /** Lets lists wait until the returned function is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#hold = promise
    return resolve
  }

  async *#read(stream: { queue: EngineEvent[]; wake: () => void; over: boolean }): AsyncGenerator<EngineEvent> {
    while (!stream.over) {
      const event = stream.queue.shift()
      if (event !== undefined) yield event
      else await new Promise<void>((resolve) => (stream.wake = resolve))
    }
    this.#streams.delete(stream)
  }

  #refuse(): void {
    if (this.down) throw new Error("Docker at unix:///fake.sock: nothing listens there")
  }
}
