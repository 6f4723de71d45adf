import type { Duplex } from "node:stream"
import { MeshError, toProblem } from "@meshwork/contract"
import type { FastifyError, FastifyReply } from "fastify"
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod"

const maxIssues = 50

/** Answers with the problem body of an error. */
export function sendProblem(reply: FastifyReply, error: unknown): FastifyReply {
  const problem = toProblem(error)
  // Closing in the middle of a body resets the connection, and the caller never reads why: let node:http swallow the rest.
  void reply.removeHeader("connection")
  return reply.code(problem.status).headers(problem.headers).serializer(JSON.stringify).send(problem.body)
}

/** What Fastify, its parsers and its validator throw, as errors of ours. */
export function toMeshError(error: unknown, bodyLimit: number): unknown {
  if (MeshError.is(error)) return error
  if (hasZodFastifySchemaValidationErrors(error)) return validationError(error)
  const { code, statusCode, message } = error as Partial<FastifyError>
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") return new MeshError("payload_too_large", `the body is larger than ${bodyLimit / 1024} KiB`)
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") return new MeshError("invalid_request", "the body must be JSON: send content-type: application/json")
  if (code === "FST_ERR_BAD_URL") return new MeshError("invalid_request", "the path is not valid percent-encoded UTF-8")
  if (code === "FST_ERR_MAX_PARAM_LENGTH") return new MeshError("invalid_request", "a segment of the path is too long")
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new MeshError("invalid_request", message ?? "the request is not valid")
  return error
}

interface Issue {
  path: string
  message: string
}

interface ValidationFailure {
  validation: readonly { instancePath: string; message?: string | undefined; params: object }[]
  validationContext?: string | undefined
}

function validationError(error: ValidationFailure): MeshError {
  const all = error.validation.flatMap(({ instancePath, message = "not valid", params }): Issue[] => {
    const path = instancePath.slice(1).replaceAll("/", ".").slice(0, 200)
    const keys = (params as { keys?: unknown }).keys
    if (!Array.isArray(keys)) return [{ path, message }]
    return keys.map((key) => ({ path: [path, String(key).slice(0, 200)].filter(Boolean).join("."), message: "unknown field" }))
  })
  const issues = all.slice(0, maxIssues)
  const more = all.length > issues.length ? `; and ${all.length - issues.length} more` : ""
  const context = error.validationContext ?? "request"
  const where = { params: "path", querystring: "query" }[context] ?? context
  const detail = issues.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("; ")
  return new MeshError("invalid_request", `${where}: ${detail}${more}`, { members: { issues } })
}

/** Answers on a connection whose request node:http could not read, and ends it. */
export function refuseConnection(error: Error & { code?: string }, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy()
  const { status, headers, body } = toProblem(unreadable(error.code))
  const json = JSON.stringify(body)
  const lines = Object.entries({ ...headers, "content-length": String(Buffer.byteLength(json)), connection: "close" })
  socket.end(`HTTP/1.1 ${status} ${body.title}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${json}`, () =>
    socket.destroy(),
  )
}

function unreadable(code: string | undefined): MeshError {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return new MeshError("deadline_exceeded", "the request did not arrive in time")
  if (code === "HPE_HEADER_OVERFLOW") return new MeshError("invalid_request", "the headers are larger than 16 KiB")
  return new MeshError("invalid_request", `the request is not valid HTTP${code === undefined ? "" : ` (${code})`}`)
}
