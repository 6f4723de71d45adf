import type { IncomingMessage } from "node:http"

/** What says how a body is taken. */
export interface BodyTerms {
  /** Bytes; infinite where it comes in chunks. */
  length: number
  /** Bytes up to which it is read as a whole, so that it can be sent again. */
  limit: number
  /** Whether what the caller sent after the head is no HTTP. */
  malformed: (request: IncomingMessage) => boolean
}

/** The body of a request as it goes to a backend: whole, or the request itself as a stream. Rejects when the caller goes away or sends what is malformed. */
export async function takeBody(request: IncomingMessage, { length, limit, malformed }: BodyTerms): Promise<Buffer | IncomingMessage> {
  if (length <= limit) return readSmallBody(request, length)
  // Lets node:http read what came along with the head, so that chunks that are none never reach a backend.
  await new Promise((resolve) => setImmediate(resolve))
  if (malformed(request)) throw new Error("the request body is malformed")
  // A small body in chunks that is here already can be sent again like one of known length.
  return request.complete && request.readableLength <= limit ? readBuffered(request) : request
}

/** Reads a body of known, small length as a whole, so that it can be sent again. Rejects when the caller goes away or sends something else. */
function readSmallBody(request: IncomingMessage, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    let over = false
    request.on("data", (chunk: Buffer) => {
      chunks.push(chunk)
      size += chunk.length
    })
    request.on("end", () => {
      over = true
      if (size === length) resolve(joined(chunks))
      else reject(new Error(`${size} bytes instead of ${length}`))
    })
    request.on("error", reject)
    // Every request closes: an error that nobody hears of would cost more than its body.
    request.on("close", () => {
      if (!over) reject(new Error("the caller went away"))
    })
  })
}

/** The body of a request that is complete and that nobody has read from. One `read()` yields all of it or, since Node 26, one chunk. */
function readBuffered(request: IncomingMessage): Buffer {
  const chunks: Buffer[] = []
  for (let chunk = request.read() as Buffer | null; chunk !== null; chunk = request.read() as Buffer | null) chunks.push(chunk)
  return joined(chunks)
}

/** One buffer of several; a single one as it is, since a copy costs more than all the rest. */
function joined(chunks: Buffer[]): Buffer {
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
}

/** Tells once, when it is known, whether a body is empty: at its first byte, or at its end. Never when the caller goes away before. */
export function onceKnown(request: IncomingMessage, then: (empty: boolean) => void): void {
  const know = (empty: boolean): void => {
    request.off("data", onData).off("end", onEnd)
    then(empty)
  }
  const onData = (): void => know(false)
  const onEnd = (): void => know(true)
  request.on("data", onData).on("end", onEnd)
}
