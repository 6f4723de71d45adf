import type { PacketStore } from "./packet-store.ts"

/** Different texts at once; what comes beyond is lost. */
const mostTexts = 254
const lost = 255
const lostText = "one of too many different answers to be kept"
/** What a text costs beside its characters. */
const overheadBytes = 64

/** Counted texts under small numbers: each is kept once for as long as anything refers to it. 0 stands for none. */
export class TextTable {
  readonly #entries: ({ text: string; uses: number } | undefined)[] = []
  readonly #numbers = new Map<string, number>()
  readonly #free: number[] = []
  readonly #store: PacketStore

  /** @param store whose memory the texts take */
  constructor(store: PacketStore) {
    this.#store = store
  }

  /** The number of a text, with one more use of it. */
  add(text: string | undefined): number {
    if (text === undefined) return 0
    const number = this.#numbers.get(text)
    const entry = number === undefined ? undefined : this.#entries[number]
    if (number !== undefined && entry !== undefined) {
      entry.uses++
      return number
    }
    if (this.#numbers.size >= mostTexts || !this.#store.takeText(text.length + overheadBytes)) return lost
    const fresh = this.#free.pop() ?? this.#numbers.size + 1
    this.#entries[fresh] = { text, uses: 1 }
    this.#numbers.set(text, fresh)
    return fresh
  }

  text(number: number): string | undefined {
    return number === lost ? lostText : this.#entries[number]?.text
  }

  /** Takes one use back. */
  drop(number: number): void {
    const entry = this.#entries[number]
    if (entry === undefined || --entry.uses > 0) return
    this.#entries[number] = undefined
    this.#numbers.delete(entry.text)
    this.#free.push(number)
    this.#store.giveText(entry.text.length + overheadBytes)
  }
}
