import { type InstanceKey, keyText } from "@meshwork/contract"

/** Where a line stands in the file, its line feed included. Moves when the file is compacted. */
export interface Place {
  offset: number
  length: number
}

/** A live record: where it is, and all that judging an op needs. */
export interface RecordPlace extends Place {
  key: InstanceKey
  revision: number
  renewedAt?: number
}

/** A line that could not be read, or whose record could not. */
export interface Damage extends Place {
  /** Key as text where it could be told; a later line about it makes the damage good. */
  key?: string
  message: string
}

interface Tombstone extends Place {
  at: number
}

const tombstonesKeptMs = 600_000

/** What the file holds, without the records themselves. */
export class RecordIndex {
  readonly #records = new Map<string, RecordPlace>()
  readonly #damages = new Map<string, Damage>()
  #tombstones: Tombstone[] = []
  #liveBytes = 0

  /** Bytes of lines that compaction keeps. */
  get liveBytes(): number {
    return this.#liveBytes
  }

  get damages(): Iterable<Damage> {
    return this.#damages.values()
  }

  get records(): Iterable<RecordPlace> {
    return this.#records.values()
  }

  find(text: string): RecordPlace | undefined {
    return this.#records.get(text)
  }

  /** Makes `place` the record of its key; undefined = it has none. Says what was there. */
  set(text: string, place: RecordPlace | undefined): RecordPlace | undefined {
    const before = this.#records.get(text)
    this.#liveBytes += (place?.length ?? 0) - (before?.length ?? 0)
    if (place === undefined) this.#records.delete(text)
    else this.#records.set(text, place)
    return before
  }

  /** Notes a line that cannot be served and is kept. */
  damaged(damage: Damage): void {
    const text = damage.key ?? `line at ${damage.offset}`
    this.heal(text)
    this.#damages.set(text, damage)
    this.#liveBytes += damage.length
  }

  /** Forgets a damage whose key was put or deleted since. */
  heal(text: string): void {
    this.#liveBytes -= this.#damages.get(text)?.length ?? 0
    this.#damages.delete(text)
  }

  /** Notes a deletion, and forgets those of more than 10 minutes ago. */
  bury(tombstone: Tombstone): void {
    this.#tombstones.push(tombstone)
    this.#liveBytes += tombstone.length
    const oldest = this.#tombstones[0]
    if (oldest && tombstone.at - oldest.at > 2 * tombstonesKeptMs) this.#trim(tombstone.at)
  }

  /** Every line worth keeping, in the order of the file. */
  kept(now: number): Place[] {
    this.#trim(now)
    return [...this.places()].sort((a, b) => a.offset - b.offset)
  }

  /** Every line worth keeping, in no order. */
  *places(): Generator<Place, void> {
    yield* this.#records.values()
    yield* this.#damages.values()
    yield* this.#tombstones
  }

  #trim(now: number): void {
    const fresh = this.#tombstones.findIndex((tombstone) => now - tombstone.at < tombstonesKeptMs)
    const old = this.#tombstones.splice(0, fresh === -1 ? this.#tombstones.length : fresh)
    for (const { length } of old) this.#liveBytes -= length
  }
}

/** The text of a key as lines of the log spell it. */
export function pairText(pair: readonly [service: string, id: string]): string {
  return keyText({ service: pair[0], id: pair[1] })
}
