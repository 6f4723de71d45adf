import { errorCodes, problemContentType, problemSchema, type ErrorCode, type ReplyBody, type RouteDefinition } from "@meshwork/contract"
import { z } from "zod"

const noQuery = z.strictObject({})
const events = z.string().describe("Server-Sent Events; the data of each is JSON")

interface DocumentedReply {
  description: string
  content: Record<string, { schema: z.ZodType }>
}

/** What Fastify validates of a request and OpenAPI shows of a route. */
export function routeSchema(name: string, route: RouteDefinition): object {
  return {
    operationId: name,
    summary: route.summary,
    ...(route.mutates ? { security: [{ token: [] }] } : {}),
    ...(route.params === undefined ? {} : { params: route.params }),
    ...(route.body === undefined ? {} : { body: route.body }),
    querystring: route.query ?? noQuery,
    response: { ...replies(route.replies), ...problems([...route.errors, "internal"]) },
  }
}

function replies(bodies: RouteDefinition["replies"]): Record<string, DocumentedReply | z.ZodNull> {
  return Object.fromEntries(Object.entries(bodies).map(([status, body]) => [status, documented(Number(status), body)]))
}

function documented(status: number, body: ReplyBody): DocumentedReply | z.ZodNull {
  if (body === "empty") return z.null().describe(status === 304 ? "Not changed" : "Done")
  if (body === "events") return { description: "A stream of changes", content: { "text/event-stream": { schema: events } } }
  return { description: status === 201 ? "Created" : "Done", content: { "application/json": { schema: body } } }
}

/** Errors by status; several codes can share one. */
function problems(codes: readonly ErrorCode[]): Record<string, DocumentedReply> {
  const byStatus = Map.groupBy(codes, (code) => errorCodes[code].status)
  const content = { [problemContentType]: { schema: problemSchema } }
  return Object.fromEntries([...byStatus].map(([status, shared]) => [status, { description: shared.join(", "), content }]))
}
