import { createWriteStream } from "node:fs"
import { mkdir, rename, rm } from "node:fs/promises"
import { join, resolve } from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { MeshError } from "@meshwork/contract"

/** Writes pieces of text to `dump.json` in a folder: beside it first, then renamed over it. Whoever asks meanwhile gets the same one. */
export class Dump {
  readonly #file: string
  readonly #pieces: () => AsyncIterable<string>
  #writing: Promise<string> | undefined

  constructor(folder: string, pieces: () => AsyncIterable<string>) {
    this.#file = resolve(join(folder, "dump.json"))
    this.#pieces = pieces
  }

  /** Resolves to the file's name. Rejects with `internal`, and leaves nothing half-written. */
  write(): Promise<string> {
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined))
    return this.#writing
  }

  async #write(): Promise<string> {
    const beside = `${this.#file}.${process.pid}.tmp`
    try {
      await mkdir(join(this.#file, ".."), { recursive: true })
      await pipeline(Readable.from(this.#pieces(), { objectMode: false }), createWriteStream(beside, { flush: true }))
      await rename(beside, this.#file)
      return this.#file
    } catch (error) {
      await rm(beside, { force: true }).catch(() => {})
      const why = (error as { code?: string }).code ?? String(error)
      throw new MeshError("internal", `the statistics could not be written to ${this.#file}: ${why}`, { cause: error })
    }
  }
}
