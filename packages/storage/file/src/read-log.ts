import { instanceRecordSchema, type InstanceRecord, keyText, MeshError } from "@meshwork/contract"
import type { StorageProblem, StoredRecord } from "@meshwork/registry-core"
import type { DurableFile } from "./durable-file.ts"
import { decodeLine, firstLine, formatOf, guessKey, lineStarts, logFormat } from "./log-line.ts"
import { pairText, RecordIndex } from "./record-index.ts"

/** What a file holds. */
export interface ReadLog {
  epoch: string
  revision: number
  lastAliveAt: number | null
  records: StoredRecord[]
  problems: StorageProblem[]
  index: RecordIndex
  /** Bytes behind the last whole line: what a crash tore. */
  torn: number
}

/** Reads a file from its beginning and cuts off what a crash tore. Rejects with `invalid_config` what is no log or cannot be understood. */
export async function readLog(path: string, file: DurableFile): Promise<ReadLog> {
  const reader = new LogReader(path)
  let rest: Buffer = Buffer.alloc(0)
  let place = 0
  for await (const chunk of file.chunks(0, file.length)) {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10)) {
      reader.line(bytes.subarray(0, end), place)
      place += end + 1
      bytes = bytes.subarray(end + 1)
    }
    rest = bytes
    // No line in the first MiB: refused before a huge file of something else is read whole.
    if (place === 0) break
  }
  file.cutAt(place)
  return { ...reader.finish(rest.length), torn: rest.length }
}

class LogReader {
  readonly #path: string
  readonly #index = new RecordIndex()
  readonly #unread = new Map<string, InstanceRecord>()
  #lines = 0
  #epoch: string | undefined
  #revision = 0
  #lastAliveAt: number | null = null

  constructor(path: string) {
    this.#path = path
  }

  line(line: Buffer, offset: number): void {
    this.#lines++
    if (this.#lines === 1) return this.#first(line)
    if (this.#lines === 2) return this.#second(line)
    if (this.#entry(line, offset, line.length + 1)) return
    // Damage to a line feed joins two lines which are whole but for that.
    const starts = [0, ...lineStarts(line), line.length + 1]
    for (const [index, start] of starts.slice(0, -1).entries()) {
      const length = (starts[index + 1] ?? 0) - start
      const part = line.subarray(start, start + length - 1)
      if (starts.length > 2 && this.#entry(part, offset + start, length)) continue
      this.#damage(part, offset + start, length)
    }
  }

  #first(line: Buffer): void {
    const format = formatOf(line.toString("utf8", 0, 200))
    if (format === undefined) throw new MeshError("invalid_config", `${this.#path} is not a file of a Meshwork registry; it was left as it is`)
    if (format > logFormat) {
      const why = `was written by a newer version of Meshwork (format ${format}, this one knows ${logFormat}); it was left as it is`
      throw new MeshError("invalid_config", `${this.#path} ${why}`)
    }
  }

  #second(line: Buffer): void {
    const entry = decodeLine(line)
    if (entry === undefined || !("epoch" in entry)) throw this.#unusable("is damaged in its second line, which says whose data it holds")
    this.#epoch = entry.epoch
    this.#revision = entry.revision
  }

  #unusable(what: string): MeshError {
    return new MeshError("invalid_config", `${this.#path} ${what}. Restore a backup, or move it away to begin with an empty registry`)
  }

  /** Takes in a line; false when it is damaged. */
  #entry(line: Buffer, offset: number, length: number): boolean {
    const entry = decodeLine(line)
    if (entry === undefined || "epoch" in entry) return false
    if ("alive" in entry) {
      this.#lastAliveAt = entry.alive
      for (const [service, id, renewedAt] of entry.renewed) {
        const place = this.#index.find(pairText([service, id]))
        if (place) place.renewedAt = renewedAt
      }
      return true
    }
    const text = pairText(entry.key)
    this.#index.heal(text)
    if ("put" in entry) {
      const [service, id] = entry.key
      this.#revision = Math.max(this.#revision, entry.put)
      const renewedAt = this.#index.find(text)?.renewedAt
      this.#index.set(text, { offset, length, key: { service, id }, revision: entry.put, ...(renewedAt === undefined ? {} : { renewedAt }) })
      this.#unread.set(text, entry.record)
    } else {
      this.#revision = Math.max(this.#revision, entry.delete)
      this.#index.set(text, undefined)
      this.#unread.delete(text)
      this.#index.bury({ offset, length, at: entry.cause.at })
    }
    return true
  }

  #damage(line: Buffer, offset: number, length: number): void {
    const guess = guessKey(line)
    const key = guess && keyText(guess)
    const served = key !== undefined && this.#index.find(key) ? "; what was stored before is served" : ""
    const message = `line ${this.#lines} of ${this.#path}, at byte ${offset}, is damaged: its checksum is wrong${served}`
    this.#index.damaged({ offset, length, ...(key === undefined ? {} : { key }), message })
  }

  finish(torn: number): Omit<ReadLog, "torn"> {
    if (this.#lines === 0 && torn === 0) throw this.#unusable("is empty, and no file of a registry ever is: it was cut off, or is not one")
    if (this.#lines === 0) throw new MeshError("invalid_config", `${this.#path} is not a file of a Meshwork registry; it was left as it is`)
    if (this.#epoch === undefined) throw this.#unusable(`ends after ${firstLine.trim()}: it was cut off`)
    const records: StoredRecord[] = []
    for (const place of this.#index.records) {
      const text = keyText(place.key)
      const read = readRecord(this.#unread.get(text), text)
      if ("message" in read) {
        this.#index.set(text, undefined)
        this.#index.damaged({
          offset: place.offset,
          length: place.length,
          key: text,
          message: `${read.message} (at byte ${place.offset} of ${this.#path})`,
        })
      } else records.push(stored(read.record, place))
    }
    const problems = [...this.#index.damages].map(({ key, offset, message }) => ({ key: key ?? `byte ${offset}`, message }))
    // A damaged line may have held the latest revision, which somebody may have seen.
    const revision = this.#revision + problems.length
    return { epoch: this.#epoch, revision, lastAliveAt: this.#lastAliveAt, records, problems, index: this.#index }
  }
}

/** A record as the port hands it out. */
export function stored(record: InstanceRecord, place: { revision: number; renewedAt?: number }): StoredRecord {
  const { revision, renewedAt } = place
  return { record, version: String(revision), revision, ...(renewedAt === undefined ? {} : { renewedAt }) }
}

/** What a line holds as a record, or why it is none. */
export function readRecord(value: unknown, text: string): { record: InstanceRecord } | { message: string } {
  const parsed = instanceRecordSchema.safeParse(value)
  if (!parsed.success) return { message: parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ") }
  if (keyText(parsed.data) !== text) return { message: "the record names another instance than its key" }
  return { record: parsed.data }
}
