import { rename, unlink } from "node:fs/promises"
import { DurableFile, syncFolderOf } from "./durable-file.ts"
import { encodeLine, firstLine } from "./log-line.ts"
import type { Place, RecordIndex } from "./record-index.ts"

/** Small enough to be copied while commits wait. */
const remainderBytes = 64 << 10
const chunkBytes = 1 << 20
const renewedPerLine = 1000

/** What a new file begins with. */
export interface Beginning {
  epoch: string
  revision: number
  alive: number | null
}

/** A file beside `path` that will take its place. */
export function successorOf(path: string): string {
  return `${path}.new`
}

/** Makes the file of an empty registry; a crash on the way leaves none. */
export async function createLog(path: string, beginning: Beginning): Promise<void> {
  const file = await DurableFile.create(successorOf(path))
  try {
    await file.append(head(beginning))
    await rename(successorOf(path), path)
    await syncFolderOf(path)
  } finally {
    await file.close()
  }
}

function head({ epoch, revision, alive }: Beginning): Buffer {
  const lines = [Buffer.from(firstLine), encodeLine({ epoch, revision })]
  if (alive !== null) lines.push(encodeLine({ alive, renewed: [] }))
  return Buffer.concat(lines)
}

/**
 * Copies what is worth keeping into a new file while commits go on in the old one, then what they added, and puts it in the old one's
 * place. `exclusive` runs its argument while no commit is under way.
 */
export class Compaction {
  readonly #path: string
  readonly #old: DurableFile
  readonly #index: RecordIndex
  readonly #signal: AbortSignal

  constructor(path: string, old: DurableFile, index: RecordIndex, signal: AbortSignal) {
    this.#path = path
    this.#old = old
    this.#index = index
    this.#signal = signal
  }

  /**
   * Rejects with the old file untouched. `adopt` is called while no commit is under way, after the new file took the old one's name and
   * the index speaks about it; nothing may be acknowledged before the folder is synced.
   */
  async run(
    beginning: Beginning,
    now: number,
    exclusive: (work: () => Promise<void>) => Promise<void>,
    adopt: (file: DurableFile) => void,
  ): Promise<void> {
    const start = this.#old.length
    const kept = this.#index.kept(now)
    const file = await DurableFile.create(successorOf(this.#path))
    try {
      const copy = new Copy(this.#old, file, this.#signal)
      await copy.add(head(beginning))
      const places = await copy.lines(kept)
      for (const line of this.#renewals(beginning.alive ?? now)) await copy.add(line)
      const moved = copy.length - start
      let copied = start
      while (this.#old.length - copied > remainderBytes) copied = await copy.range(copied, this.#old.length)
      await file.sync(copy.length)
      await exclusive(async () => {
        await copy.range(copied, this.#old.length)
        await file.sync(copy.length)
        this.#signal.throwIfAborted()
        await rename(successorOf(this.#path), this.#path)
        for (const place of this.#index.places()) if (place.offset >= start) place.offset += moved
        for (const [index, place] of kept.entries()) place.offset = places[index] ?? 0
        adopt(file)
      })
    } catch (error) {
      await file.close()
      await unlink(successorOf(this.#path)).catch(() => {})
      throw error
    }
  }

  *#renewals(alive: number): Generator<Buffer, void> {
    let renewed: [string, string, number][] = []
    for (const { key, renewedAt } of this.#index.records) {
      if (renewedAt !== undefined) renewed.push([key.service, key.id, renewedAt])
      if (renewed.length < renewedPerLine) continue
      yield encodeLine({ alive, renewed })
      renewed = []
    }
    if (renewed.length > 0) yield encodeLine({ alive, renewed })
  }
}

/** Appends to a new file, in pieces of about a MiB. */
class Copy {
  readonly #from: DurableFile
  readonly #to: DurableFile
  readonly #signal: AbortSignal
  length = 0

  constructor(from: DurableFile, to: DurableFile, signal: AbortSignal) {
    this.#from = from
    this.#to = to
    this.#signal = signal
  }

  async add(bytes: Buffer): Promise<void> {
    this.#signal.throwIfAborted()
    await this.#to.write(bytes, this.length)
    this.length += bytes.length
  }

  /** Copies everything between two places and says how far it came. */
  async range(from: number, to: number): Promise<number> {
    for await (const chunk of this.#from.chunks(from, to)) await this.add(chunk)
    return to
  }

  /** Copies lines in their order; resolves to where each begins now. What stands together is read together. */
  async lines(places: readonly Readonly<Place>[]): Promise<number[]> {
    const begins: number[] = []
    for (let index = 0; index < places.length; ) {
      const from = places[index]?.offset ?? 0
      const base = this.length
      let to = from
      for (
        let place = places[index];
        place && place.offset === to && (to === from || to + place.length - from <= chunkBytes);
        place = places[++index]
      ) {
        begins.push(base + to - from)
        to += place.length
      }
      const bytes = await this.#from.read(from, to - from)
      if (bytes.length !== to - from) throw new Error(`it ends at ${from + bytes.length}, where ${to - from - bytes.length} more bytes were written`)
      await this.add(bytes)
    }
    return begins
  }
}
