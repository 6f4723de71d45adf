import { MeshError } from "@meshwork/contract"

const maxEventBytes = 64 * 1024 * 1024

/** One event of a stream as the HTML standard's section on server-sent events defines it. */
export interface SseEvent {
  event: string
  data: string
  /** The last id seen, this event's included. */
  id: string
}

/** Reads server-sent events from chunks as they arrive. Bounded: an event over 64 MiB is an error. */
export class SseParser {
  readonly #decoder = new TextDecoder()
  #rest = ""
  #event = ""
  #data: string[] = []
  #size = 0
  #id = ""

  /** The events that `chunk` completes, and those that carry an id alone as events without data. */
  push(chunk: Uint8Array): SseEvent[] {
    const text = this.#decoder.decode(chunk, { stream: true })
    this.#rest += text
    this.#size += chunk.length
    if (this.#size > maxEventBytes) throw new MeshError("upstream_reset", "an event of the watch is over 64 MiB")
    // A long line arrives in many chunks; looking at the whole of it each time would cost its square.
    if (!text.includes("\n") && !text.includes("\r")) return []
    const lines = this.#rest.split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop() ?? ""
    const events: SseEvent[] = []
    for (const line of lines) {
      if (line !== "") this.#field(line)
      else {
        events.push({ event: this.#event, data: this.#data.join("\n"), id: this.#id })
        this.#event = ""
        this.#data = []
        this.#size = 0
      }
    }
    return events
  }

  #field(line: string): void {
    const colon = line.indexOf(":")
    if (colon === 0) return
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1))
    if (name === "event") this.#event = value
    else if (name === "data") this.#data.push(value)
    else if (name === "id" && !value.includes("\0")) this.#id = value
  }
}
