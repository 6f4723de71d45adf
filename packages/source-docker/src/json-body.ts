import type { Readable } from "node:stream"

/** A whole JSON answer. Rejects when it breaks off, is larger than `limit` bytes, or is no JSON. */
export async function readJson(stream: Readable, limit: number, signal: AbortSignal): Promise<unknown> {
  const cut = (): void => void stream.destroy(signal.reason as Error)
  if (signal.aborted) cut()
  signal.addEventListener("abort", cut, { once: true })
  try {
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > limit) throw new Error(`its answer is larger than ${limit} bytes`)
      chunks.push(chunk)
    }
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch (error) {
    throw error instanceof SyntaxError ? new Error("its answer is no JSON") : error
  } finally {
    signal.removeEventListener("abort", cut)
    stream.destroy()
  }
}

/** The lines of a stream as they come; one longer than `limit` bytes is left out. Throws as the stream does. */
export async function* readLines(stream: Readable, limit: number): AsyncGenerator<string> {
  let parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      bytes += end - from
      if (bytes <= limit) {
        const line = Buffer.concat([...parts, chunk.subarray(from, end)]).toString()
        if (line.trim() !== "") yield line
      }
      parts = []
      bytes = 0
      from = end + 1
    }
    bytes += chunk.length - from
    if (bytes > limit) parts = []
    else if (from < chunk.length) parts.push(chunk.subarray(from))
  }
}
