import type { IncomingHttpHeaders } from "node:http"

/** An answer, its body as text. */
export interface HttpAnswer {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

/** One GET over a connection of its own, to any port. Rejects as node:http does, and with what `signal` was aborted with. */
export async function httpGet(url: string, options: { signal: AbortSignal; maxBytes: number }): Promise<HttpAnswer> {
  const { signal, maxBytes } = options
  const { get } = /^https:/i.test(url) ? await import("node:https") : await import("node:http")
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => reject(signal.aborted ? signal.reason : error)
    const call = get(url, { signal, agent: false, headers: { accept: "application/json" } }, (answer) => {
      const chunks: Buffer[] = []
      let size = 0
      answer.on("data", (chunk: Buffer) => {
        size += chunk.length
        if (size > maxBytes) answer.destroy(new Error(`the answer is longer than ${maxBytes} bytes`))
        else chunks.push(chunk)
      })
      answer.on("error", fail)
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(chunks).toString("utf8") }))
    })
    call.on("error", fail)
  })
}
