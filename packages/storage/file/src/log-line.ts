import { crc32 } from "node:zlib"
import type { InstanceKey, InstanceRecord } from "@meshwork/contract"
import type { Cause } from "@meshwork/registry-core"

/** Version of the file's layout, in its first line; a file with a higher one is refused. */
export const logFormat = 1

const magic = "meshwork registry log, format "

/** The first line of every file. Plain text, so that any version can read which version wrote it. */
export const firstLine: string = `${magic}${logFormat}\n`

/** The format a first line names; undefined when it is no log of a registry. */
export function formatOf(line: string): number | undefined {
  const number = line.startsWith(magic) ? line.slice(magic.length) : ""
  return /^\d{1,9}$/.test(number) ? Number(number) : undefined
}

/** What one line says. */
export type LogEntry =
  /** The second line: the identity of the counting, and the counter when the file was begun. */
  | { epoch: string; revision: number }
  | { put: number; key: KeyPair; cause: Cause; record: InstanceRecord }
  | { delete: number; key: KeyPair; cause: Cause }
  /** Closes a group of changes: the time of writing, and leases renewed since. */
  | { alive: number; renewed: (readonly [service: string, id: string, renewedAt: number])[] }

export type KeyPair = readonly [service: string, id: string]

/** A line of the log: the checksum of its text in eight hex digits, a blank, the text, a line feed. */
export function encodeLine(entry: LogEntry): Buffer {
  const text = JSON.stringify(entry)
  return Buffer.from(`${crc32(text).toString(16).padStart(8, "0")} ${text}\n`)
}

/** What a line without its line feed says; undefined when its checksum is wrong or it says nothing this format knows. */
export function decodeLine(line: Buffer): LogEntry | undefined {
  if (line.length < 11 || line[8] !== 0x20) return undefined
  const sum = line.toString("latin1", 0, 8)
  if (!/^[0-9a-f]{8}$/.test(sum) || crc32(line.subarray(9)) !== Number.parseInt(sum, 16)) return undefined
  try {
    const entry: unknown = JSON.parse(line.toString("utf8", 9))
    return isEntry(entry) ? entry : undefined
  } catch {
    return undefined
  }
}

function isEntry(value: unknown): value is LogEntry {
  if (typeof value !== "object" || value === null) return false
  const entry = value as Readonly<Record<string, unknown>>
  if ("put" in entry) return isCount(entry["put"]) && isKey(entry["key"]) && typeof entry["record"] === "object"
  if ("delete" in entry) return isCount(entry["delete"]) && isKey(entry["key"])
  if ("alive" in entry) return isCount(entry["alive"]) && Array.isArray(entry["renewed"])
  return typeof entry["epoch"] === "string" && entry["epoch"] !== "" && isCount(entry["revision"])
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0
}

function isKey(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && typeof value[1] === "string"
}

/** Places in a damaged line where an undamaged one may begin, because what was damaged is the line feed before it. */
export function lineStarts(line: Buffer): number[] {
  return [...line.toString("latin1").matchAll(/[0-9a-f]{8} \{"/g)].map((match) => match.index).filter((index) => index > 0)
}

/** The key that a damaged line seems to be about; a guess for messages and for telling what replaced it. */
export function guessKey(line: Buffer): InstanceKey | undefined {
  const found = /"key":(\["(?:[^"\\]|\\.)*","(?:[^"\\]|\\.)*"\])/.exec(line.toString("utf8", 0, 4096))
  try {
    const pair: unknown = JSON.parse(found?.[1] ?? "")
    return isKey(pair) ? { service: (pair as KeyPair)[0], id: (pair as KeyPair)[1] } : undefined
  } catch {
    return undefined
  }
}
