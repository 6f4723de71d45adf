import { STATUS_CODES, type ServerResponse } from "node:http"
import { MeshError, toProblem } from "@meshwork/contract"

/** Answers with a problem body, or as text where the caller accepts nothing else; cuts the connection when an answer has begun. */
export function sendError(
  response: ServerResponse,
  error: MeshError,
  options: { status?: number; close?: boolean; accept?: string | undefined; members?: Readonly<Record<string, unknown>> | undefined } = {},
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const problem = toProblem(error)
  const status = options.status ?? problem.status
  const textOnly = wantsText(options.accept)
  const body = textOnly
    ? `${problem.body.detail}\n`
    : JSON.stringify({ ...problem.body, status, status_code: status, body: problem.body.detail, ...options.members })
  const headers: Record<string, string | number> = { ...problem.headers, "content-length": Buffer.byteLength(body) }
  if (textOnly) headers["content-type"] = "text/plain; charset=utf-8"
  if (options.close) headers.connection = "close"
  // A head that could not be written may have left its own reason phrase behind.
  response.writeHead(status, STATUS_CODES[status] ?? "", headers).end(response.req.method === "HEAD" ? undefined : body)
}

/** Whether a caller asks for plain text first, or accepts nothing but text. */
function wantsText(accept: string | undefined): boolean {
  return accept !== undefined && (/^\s*text\/plain\b/i.test(accept) || accept.split(",").every((range) => /^\s*text\//i.test(range)))
}

/** Answers with a body as configured: text as text, anything else as JSON. */
export function sendBody(response: ServerResponse, status: number, body: unknown): void {
  const text = typeof body === "string" ? body : JSON.stringify(body)
  const type = typeof body === "string" ? "text/plain; charset=utf-8" : "application/json"
  response
    .writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) })
    .end(response.req.method === "HEAD" ? undefined : text)
}

interface Prebuilt {
  headers: string[]
  body: Buffer
}

const overloadedAnswers = new Map<string, Prebuilt>()

/** Answers a request that is refused for the load: at a small part of what serving it would cost. `why` is one of few sentences. */
export function sendOverloaded(response: ServerResponse, why: string, options: { close: boolean; accept: string | undefined }): void {
  const error = (): MeshError => new MeshError("overloaded", `${why}; try again in a second`, { retryAfterMs: 1000 })
  if (options.close || wantsText(options.accept)) return sendError(response, error(), options)
  let answer = overloadedAnswers.get(why)
  if (answer === undefined) {
    const problem = toProblem(error())
    const body = Buffer.from(JSON.stringify({ ...problem.body, status_code: problem.status, body: problem.body.detail }))
    answer = { body, headers: Object.entries({ ...problem.headers, "content-length": String(body.length) }).flat() }
    overloadedAnswers.set(why, answer)
  }
  response.writeHead(503, answer.headers).end(response.req.method === "HEAD" ? undefined : answer.body)
}
