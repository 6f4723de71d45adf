import { z } from "zod"
import { errorCodes, isErrorCode, MeshError } from "./mesh-error.ts"

/** Content type of every error answer. */
export const problemContentType = "application/problem+json"

export const problemSchema = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
})
/** RFC 9457 body of an error answer. */
export type Problem = z.output<typeof problemSchema>

export interface ProblemReply {
  status: number
  headers: Record<string, string>
  body: Problem
}

/** An error as it goes over the wire. An `internal` one tells nothing about its cause. */
export function toProblem(value: unknown): ProblemReply {
  const error = MeshError.from(value)
  const entry: { title: string; status: number; headers?: Readonly<Record<string, string>> } = errorCodes[error.code]
  const headers: Record<string, string> = { "content-type": problemContentType, ...entry.headers }
  if (error.retryAfterMs !== undefined) headers["retry-after"] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)))
  const detail = MeshError.is(value) ? error.message : "an unexpected fault; the log of the server has the details"
  const standard = { type: `urn:meshwork:error:${error.code}`, title: entry.title, status: entry.status, detail, code: error.code }
  return { status: entry.status, headers, body: { ...error.members, ...standard } }
}

/** The error an answer stands for; works for answers of other programs too, by their status. */
export function fromProblem(status: number, headers: { get(name: string): string | null | undefined }, body: unknown): MeshError {
  const parsed = problemSchema.safeParse(body)
  const code = parsed.success && isErrorCode(parsed.data.code) ? parsed.data.code : codeForStatus(status)
  const retryAfter = Number(headers.get("retry-after") ?? Number.NaN)
  const detail = parsed.success ? parsed.data.detail : `answered ${status}`
  return new MeshError(code, detail, Number.isFinite(retryAfter) ? { retryAfterMs: retryAfter * 1000 } : {})
}

function codeForStatus(status: number): MeshError["code"] {
  if (status === 401 || status === 403) return "unauthorized"
  if (status === 404) return "not_found"
  if (status === 405) return "method_not_allowed"
  if (status === 408) return "deadline_exceeded"
  if (status === 409) return "conflict"
  if (status === 413) return "payload_too_large"
  if (status === 429) return "limit_exceeded"
  if (status === 502) return "upstream_reset"
  if (status === 503) return "overloaded"
  if (status === 504) return "attempt_timeout"
  return status >= 500 ? "internal" : "invalid_request"
}
