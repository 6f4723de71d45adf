import { type ServerResponse, STATUS_CODES } from "node:http"

/** Bodies up to this size, in bytes, are worth going out as one text with their head; beyond it node:http's own way is as fast. */
export const maxWhole = 8192

/** What node:http writes into no status line; undici reads reasons as UTF-8. */
const unspeakable = /[^\t\x20-\x7e\x80-\xff]/

/** What `writeContinue` and its like are made of. */
interface RawResponse {
  _writeRaw(data: string, encoding: "latin1"): boolean
}

/** A reason of a backend, where it can be said. */
export function reasonPhrase(message: string): string {
  return unspeakable.test(message) ? "" : message
}

/** Sends an answer before the answer. node:http has methods for two of them only, and one of those wants a Link that it likes. */
export function writeInformational(response: ServerResponse, status: number, headers: readonly string[]): void {
  let lines = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Informational"}\r\n`
  for (let index = 0; index < headers.length; index += 2) lines += `${headers[index]}: ${headers[index + 1]}\r\n`
  const raw = response as unknown as RawResponse
  raw._writeRaw(`${lines}\r\n`, "latin1")
}

/** Writes the head and a whole body in one go, and at once: as latin1 they are one string, which costs a system call and no gathering of buffers. */
export function writeWhole(response: ServerResponse, body: Buffer): boolean {
  const room = response.write(body.toString("latin1"), "latin1")
  response.socket?.uncork()
  return room
}
