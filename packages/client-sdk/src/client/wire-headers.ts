type RawHeaders = readonly (Buffer | string)[]

/** Headers of an answer as a caller of a transport reads them; the standard `Headers` is one. */
export interface WireHeaders extends Iterable<[string, string]> {
  get(name: string): string | null
  has(name: string): boolean
}

/** Headers as they came over the wire, read where they lie: most of them are never asked for. */
export class ReceivedHeaders implements WireHeaders {
  readonly #raw: RawHeaders

  /** @param raw names and values in turn */
  constructor(raw: RawHeaders) {
    this.#raw = raw
  }

  /** @param name in lower case */
  get(name: string): string | null {
    const raw = this.#raw
    let found: string | null = null
    for (let index = 0; index + 1 < raw.length; index += 2) {
      const key = raw[index] as Buffer | string
      if (key.length !== name.length || text(key).toLowerCase() !== name) continue
      const value = text(raw[index + 1] as Buffer | string)
      found = found === null ? value : `${found}, ${value}`
    }
    return found
  }

  /** @param name in lower case */
  has(name: string): boolean {
    return this.get(name) !== null
  }

  *[Symbol.iterator](): Generator<[string, string]> {
    for (let index = 0; index + 1 < this.#raw.length; index += 2) {
      yield [text(this.#raw[index] as Buffer | string), text(this.#raw[index + 1] as Buffer | string)]
    }
  }
}

function text(value: Buffer | string): string {
  return typeof value === "string" ? value : value.toString("latin1")
}
