import { type Clock, sleep } from "@meshwork/contract"
import type { ServerInfo } from "@meshwork/registry-core"
import { ownService } from "./log-row.ts"
import type { Item, Table } from "./table.ts"

const beatEveryMs = 3000
const lookEveryMs = 1000
const silentMs = 10_000
const forgottenMs = 60_000

interface Seen {
  info: ServerInfo
  beat: string
  /** How long this server has been reading without seeing the other one count on. */
  silentMs: number
}

/** Servers that announce themselves by counting, each in a row of its own; who has not counted on for 10 s of reading is gone. */
export class ServerList {
  readonly #table: Table
  readonly #clock: Clock
  readonly #self: ServerInfo
  readonly #seen = new Map<string, Seen>()
  #beat = 0
  #beatAt = Number.NEGATIVE_INFINITY
  #readAt: number | undefined

  constructor(table: Table, clock: Clock, self: ServerInfo) {
    this.#table = table
    this.#clock = clock
    this.#self = self
  }

  /** Yields who is there, itself included, again after each change, until the signal aborts; then it goes. */
  async *follow(signal: AbortSignal): AsyncGenerator<ServerInfo[], void> {
    let last = ""
    try {
      while (!signal.aborted) {
        const servers = await this.#look().catch(() => undefined)
        if (signal.aborted) return
        const text = JSON.stringify(servers)
        if (servers !== undefined && text !== last) {
          last = text
          yield servers
        }
        await sleep(this.#clock, lookEveryMs, signal)
      }
    } finally {
      await this.#table.delete({ service: ownService, range: rangeOf(this.#self.id) }).catch(() => {})
    }
  }

  async #look(): Promise<ServerInfo[]> {
    if (this.#clock.monotonic() - this.#beatAt >= beatEveryMs) {
      await this.#table.put(beatItem(this.#self, ++this.#beat))
      this.#beatAt = this.#clock.monotonic()
    }
    const items = await this.#table.range(ownService, "server/", "server0")
    const now = this.#clock.monotonic()
    // A pause of ours, or of the table, says nothing of the others.
    const since = Math.min(now - (this.#readAt ?? now), 2 * lookEveryMs)
    this.#readAt = now
    this.#note(items, since)
    const there = [...this.#seen.values()].filter(({ info, silentMs: silent }) => silent < silentMs || info.id === this.#self.id)
    return there.map(({ info }) => info).sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  #note(items: readonly Item[], since: number): void {
    const present = new Set<string>()
    for (const item of items) {
      const [id, url, beat] = [item["server"]?.S, item["url"]?.S, item["beat"]?.N]
      if (id === undefined || url === undefined || beat === undefined) continue
      present.add(id)
      const known = this.#seen.get(id)
      if (known?.beat !== beat) this.#seen.set(id, { info: { id, url }, beat, silentMs: 0 })
      else known.silentMs += since
      if (known && known.silentMs > forgottenMs) this.#forget(id, known.beat)
    }
    for (const id of this.#seen.keys()) if (!present.has(id)) this.#seen.delete(id)
  }

  /** Removes the row of a server that is gone, unless it counts on. */
  #forget(id: string, beat: string): void {
    const condition = { expression: "beat = :beat", values: { ":beat": { N: beat } } }
    void this.#table.delete({ service: ownService, range: rangeOf(id) }, condition).catch(() => {})
  }
}

function rangeOf(id: string): string {
  return `server/${id}`
}

function beatItem({ id, url }: ServerInfo, beat: number): Item {
  return { service: { S: ownService }, ip_address: { S: rangeOf(id) }, server: { S: id }, url: { S: url }, beat: { N: String(beat) } }
}
