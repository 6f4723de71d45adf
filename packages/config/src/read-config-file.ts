import { closeSync, fstatSync, openSync, readSync } from "node:fs"

/** Largest configuration file, in bytes. */
export const maxConfigBytes: number = 2 * 1024 * 1024

/** The text of a configuration file, or a sentence that says why there is none. Reads pipes too, and never more than the limit. */
export function readConfigFile(path: string): { text: string } | { problem: string } {
  let file: number | undefined
  try {
    file = openSync(path, "r")
    if (fstatSync(file).isDirectory()) return { problem: "is a directory, not a file" }
    return decode(readAtMost(file, maxConfigBytes + 1))
  } catch (error) {
    return { problem: reasonOf(error) }
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/** Why a text of a configuration is not even read: too large. */
export function tooLarge(bytes: number): string | undefined {
  return bytes > maxConfigBytes ? `is larger than ${maxConfigBytes / 1024 / 1024} MiB, the most that is accepted` : undefined
}

function readAtMost(file: number, limit: number): Buffer {
  const chunks: Buffer[] = []
  let total = 0
  while (total < limit) {
    const chunk = Buffer.allocUnsafe(Math.min(65_536, limit - total))
    const read = readSync(file, chunk, 0, chunk.length, null)
    if (read === 0) break
    chunks.push(chunk.subarray(0, read))
    total += read
  }
  return Buffer.concat(chunks)
}

function decode(bytes: Buffer): { text: string } | { problem: string } {
  const problem = tooLarge(bytes.length)
  if (problem !== undefined) return { problem }
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) }
  } catch {
    return { problem: "is not UTF-8 text" }
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string }
  if (code === "ENOENT" || code === "ENOTDIR") return "does not exist"
  if (code === "EACCES" || code === "EPERM") return "may not be read by this user"
  if (code === "EISDIR") return "is a directory, not a file"
  return `cannot be read: ${code ?? message ?? "unknown fault"}`
}
