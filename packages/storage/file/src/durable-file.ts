import { type FileHandle, open, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { MeshError } from "@meshwork/contract"

const chunkBytes = 1 << 20

/** A file that grows at its end, and of which only what reached the disk counts. */
export class DurableFile {
  readonly #handle: FileHandle
  readonly #inode: number
  #length: number
  /** Something may stand behind the durable length: half of a write that failed, or what a crash tore. */
  #dirty = false
  #closed: Promise<void> | undefined

  /** @param length bytes that count; what follows is cut off before the next append */
  private constructor(handle: FileHandle, inode: number, length: number) {
    this.#handle = handle
    this.#inode = inode
    this.#length = length
  }

  /** Opens a file that exists for reading and appending. */
  static async open(path: string): Promise<DurableFile> {
    const handle = await open(path, "r+")
    const { ino, size } = await handle.stat()
    return new DurableFile(handle, ino, size)
  }

  /** Makes an empty file, in place of one that may be there. */
  static async create(path: string): Promise<DurableFile> {
    const handle = await open(path, "w+")
    const { ino } = await handle.stat()
    return new DurableFile(handle, ino, 0)
  }

  /** Bytes that count. */
  get length(): number {
    return this.#length
  }

  /** Drops what follows; it is cut off before the next append. */
  cutAt(length: number): void {
    if (length < this.#length) this.#dirty = true
    this.#length = length
  }

  /** Resolves to the place of the first byte when all of it is on the disk; nothing of it counts when it rejects. */
  async append(bytes: Buffer): Promise<number> {
    if (this.#dirty) await this.#cut()
    const place = this.#length
    this.#dirty = true
    try {
      await this.write(bytes, place)
      await this.#handle.datasync()
    } catch (error) {
      // Now rather than later: whoever opens the file after a crash should not find what was refused.
      await this.#cut().catch(() => {})
      throw error
    }
    this.#dirty = false
    this.#length = place + bytes.length
    return place
  }

  /** Writes without waiting for the disk and without counting it; `cutAt` and `sync` do. */
  async write(bytes: Buffer, place: number): Promise<void> {
    for (let written = 0; written < bytes.length; ) {
      const result = await this.#handle.write(bytes, written, bytes.length - written, place + written)
      if (result.bytesWritten === 0) throw new Error("the file system writes nothing")
      written += result.bytesWritten
    }
  }

  /** Counts everything up to `length` once it is on the disk. */
  async sync(length: number): Promise<void> {
    await this.#handle.sync()
    this.#length = length
    this.#dirty = false
  }

  /** Reads what counts; shorter where the file ends. */
  async read(place: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length)
    let read = 0
    while (read < length) {
      const { bytesRead } = await this.#handle.read(bytes, read, length - read, place + read)
      if (bytesRead === 0) break
      read += bytesRead
    }
    return read === length ? bytes : bytes.subarray(0, read)
  }

  /** The bytes between two places, a MiB at a time. */
  async *chunks(from: number, to: number): AsyncGenerator<Buffer, void> {
    for (let place = from; place < to; place += chunkBytes) yield await this.read(place, Math.min(chunkBytes, to - place))
  }

  /** Rejects when the path no longer leads to this file, or somebody else wrote it. */
  async verify(path: string): Promise<void> {
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined
      throw error
    })
    const unexpected = found === undefined || found.ino !== this.#inode || (!this.#dirty && found.size !== this.#length)
    if (!unexpected) return
    const what = found === undefined ? "was moved or removed" : "was changed by another process"
    throw new MeshError("storage_unavailable", `${path} ${what} while this server used it; nothing more is written to it. Put it back, or restart`)
  }

  close(): Promise<void> {
    this.#closed ??= this.#handle.close()
    return this.#closed
  }

  async #cut(): Promise<void> {
    await this.#handle.truncate(this.#length)
    await this.#handle.datasync()
    this.#dirty = false
  }
}

/** Makes additions, renames and removals in the folder of `path` survive a loss of power. */
export async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(dirname(path), "r")
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
