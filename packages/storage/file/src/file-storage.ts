import { randomUUID } from "node:crypto"
import { realpath, unlink } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { type Clock, MeshError, systemClock } from "@meshwork/contract"
import type { OpResult, RegistryStorage, StorageOp, StoredState } from "@meshwork/registry-core"
import { createLog, successorOf } from "./compaction.ts"
import { diskFault } from "./disk-fault.ts"
import { DurableFile } from "./durable-file.ts"
import { FileLock } from "./file-lock.ts"
import { makeFolder } from "./make-folder.ts"
import { readLog } from "./read-log.ts"
import { Writer } from "./writer.ts"

export interface FileStorageOptions {
  /** File of the data set; its folder is created. Beside it appear `PATH.lock` while it is used and `PATH.new` while it is compacted. */
  path: string
  /** Bytes of outdated lines that may stand in the file, beside as many as there are live ones, before it is compacted. Default 4 MiB. */
  garbageBytes?: number
  /** Told what an operator should know and no call can say: a torn end that was cut off, a compaction that failed. Default: nobody. */
  notice?: (message: string) => void
  /** Time of signs of life and of the lock. Default the machine's. */
  clock?: Clock
}

/**
 * The storage in one readable file: an append-only log that compacts itself, for one process. What was acknowledged was on the disk before.
 * `open` rejects with `invalid_config` what is no such file or was written by a newer version, with `storage_unavailable` what is in use.
 */
export function createFileStorage(options: FileStorageOptions): RegistryStorage {
  return new FileStorage(options)
}

class FileStorage implements RegistryStorage {
  readonly name = "file"
  readonly #options: Required<FileStorageOptions>
  #lock: FileLock | undefined
  #file: DurableFile | undefined
  #writer: Writer | undefined
  #opening: Promise<StoredState> | undefined
  #closing: Promise<void> | undefined

  constructor(options: FileStorageOptions) {
    this.#options = { garbageBytes: 4 << 20, notice: () => {}, clock: systemClock, ...options }
  }

  async open(): Promise<StoredState> {
    const { path } = this.#options
    if (this.#opening || this.#closing) throw new MeshError("internal", `${path} was opened before; make another storage`)
    this.#opening = this.#open()
    try {
      return await this.#opening
    } catch (error) {
      await this.close()
      throw diskFault(path, error)
    }
  }

  async #open(): Promise<StoredState> {
    const { clock, notice } = this.#options
    const path = await resolved(this.#options.path)
    this.#lock = new FileLock(path, clock)
    await this.#lock.acquire()
    await unlink(successorOf(path)).catch(ignoreMissing)
    this.#file = await DurableFile.open(path).catch(async (error) => {
      ignoreMissing(error)
      await createLog(path, { epoch: randomUUID(), revision: 0, alive: null })
      return DurableFile.open(path)
    })
    const { epoch, revision, records, problems, lastAliveAt, index, torn } = await readLog(path, this.#file)
    if (torn > 0) notice(`the last ${torn} bytes of ${path} were cut off: an unfinished line, as a crash leaves behind`)
    this.#writer = new Writer({ ...this.#options, path, file: this.#file, index, epoch, revision, alive: lastAliveAt })
    return { epoch, revision, records, problems, lastAliveAt }
  }

  commit(ops: readonly StorageOp[]): Promise<OpResult[]> {
    if (this.#writer === undefined || this.#closing) {
      return Promise.reject(new MeshError("storage_unavailable", `${this.#options.path} is ${this.#closing ? "closed" : "not open"}`))
    }
    return this.#writer.commit(ops)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#opening?.catch(() => {})
    await this.#writer?.close()
    await this.#file?.close()
    await this.#lock?.release()
  }
}

/** The path without symbolic links, so that nobody uses one file under two names; makes its folder. */
async function resolved(path: string): Promise<string> {
  await makeFolder(dirname(path))
  return realpath(path).catch(async (error) => {
    ignoreMissing(error)
    return join(await realpath(dirname(path)), basename(path))
  })
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
}
