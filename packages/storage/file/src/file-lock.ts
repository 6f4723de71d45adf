import { randomUUID } from "node:crypto"
import { constants } from "node:fs"
import { copyFile, link, readFile, rename, stat, unlink, writeFile } from "node:fs/promises"
import { type Clock, MeshError, sleep } from "@meshwork/contract"
import { isRunning, ownMark, type ProcessMark } from "./process-mark.ts"

/** Longer than the 5 s within which every server gives a sign of life. */
const observedMs = 8000
const lookEveryMs = 250
const maxClaims = 8

interface Holder extends ProcessMark {
  id: string
}

/** The claim of one process on a file, kept in a file beside it. */
export class FileLock {
  readonly #path: string
  readonly #file: string
  readonly #clock: Clock
  readonly #id: string = randomUUID()

  /** @param path the file to be used; the lock is `path.lock` */
  constructor(path: string, clock: Clock) {
    this.#path = path
    this.#file = `${path}.lock`
    this.#clock = clock
  }

  /** Rejects with `storage_unavailable` when another process uses the file; takes over from one that is gone. */
  async acquire(): Promise<void> {
    const mark = await ownMark()
    const ticket = `${this.#file}.${this.#id}`
    await writeFile(ticket, JSON.stringify({ id: this.#id, ...mark } satisfies Holder), { flag: "wx", flush: true })
    const claims: string[] = []
    try {
      if (await linked(ticket, this.#file)) return
      const holder = await this.#gone(this.#file, mark)
      if (holder === undefined) return await this.#takeFreed(ticket)
      await this.#claim(holder, ticket, mark, claims)
      // Nobody else may replace this holder's lock while the claim on it is ours; it may have been replaced before.
      if ((await readHolder(this.#file))?.id !== holder.id) throw this.#used("another process that started at the same time")
      await rename(ticket, this.#file)
    } finally {
      await unlink(ticket).catch(() => {})
      for (const claim of claims) await unlink(claim).catch(() => {})
    }
  }

  /** Gives the file free, if it is still ours. */
  async release(): Promise<void> {
    const holder = await readHolder(this.#file)
    if (holder?.id === this.#id) await unlink(this.#file).catch(() => {})
  }

  async #takeFreed(ticket: string): Promise<void> {
    if (!(await linked(ticket, this.#file))) throw this.#used("another process that started at the same time")
  }

  /** Takes the sole right to replace a lock whose holder is gone. Who had that right and is gone too is replaced the same way. */
  async #claim(holder: Holder, ticket: string, own: ProcessMark, claims: string[]): Promise<void> {
    if (claims.length >= maxClaims) throw this.#used("several processes at once")
    const claim = `${this.#file}.gone-${holder.id}`
    if (!(await linked(ticket, claim))) {
      const claimant = await this.#gone(claim, own)
      if (claimant === undefined) throw this.#used("another process that started at the same time")
      await this.#claim(claimant, ticket, own, claims)
    }
    claims.push(claim)
  }

  /** The holder of a lock that is gone; undefined when the lock vanished meanwhile. Rejects when the holder is there. */
  async #gone(file: string, own: ProcessMark): Promise<Holder | undefined> {
    const holder = await readHolder(file)
    if (holder === undefined) return undefined
    const running = await isRunning(holder, own)
    if (running === true) throw this.#used(`process ${holder.pid}`)
    if (running === undefined && (await this.#grows())) throw this.#used(`process ${holder.pid} of ${holder.host}, or of another container`)
    return holder
  }

  /** Whether somebody writes the file: every server does so within 5 s. */
  async #grows(): Promise<boolean> {
    const before = await this.#trace()
    for (let waited = 0; waited < observedMs; waited += lookEveryMs) {
      await sleep(this.#clock, lookEveryMs)
      if ((await this.#trace()) !== before) return true
    }
    return false
  }

  async #trace(): Promise<string> {
    const found = await stat(this.#path).catch(() => undefined)
    return found === undefined ? "" : `${found.ino} ${found.size} ${found.mtimeMs}`
  }

  #used(by: string): MeshError {
    return new MeshError("storage_unavailable", `${this.#path} is used by ${by}; one file belongs to one discovery server`)
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException
    if (code === "EEXIST") return false
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(code)) throw error
  }
  // Some file systems know no hard links; a copy is as exclusive, only not written at once.
  return copyFile(from, to, constants.COPYFILE_EXCL).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return false
      throw error
    },
  )
}

async function readHolder(file: string): Promise<Holder | undefined> {
  let text: string
  try {
    text = await readFile(file, "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  }
  try {
    const { id, pid, started, host, realm } = JSON.parse(text) as Holder
    if (typeof id === "string" && /^[\w-]{1,64}$/.test(id) && Number.isSafeInteger(pid) && pid > 0) return { id, pid, started, host, realm }
  } catch {
    // Reported below: it is not a lock of ours either way.
  }
  throw new MeshError("invalid_config", `${file} is not a lock of a Meshwork registry; remove it if no server uses the file`)
}
