import type { FastifyInstance } from "fastify"
import { parseJsonBody } from "../../json-body.ts"

/** What a request sent, by the names of its fields. */
export type Fields = ReadonlyMap<string, unknown>

const none: Fields = new Map()

/** Has a Fastify context read forms and JSON objects into fields; a body of any other kind has none. */
export function parseBodiesAsFields(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_, body, done) => done(null, formFields(String(body))))
  app.addContentTypeParser("application/json", { parseAs: "string" }, (_, body, done) => {
    try {
      done(null, jsonFields(parseJsonBody(String(body))))
    } catch (error) {
      done(error as Error, undefined)
    }
  })
  app.addContentTypeParser("*", { parseAs: "string" }, (_, _body, done) => done(null, none))
}

/** The fields of a request whose body was read here; none when there was no body. */
export function fieldsOf(body: unknown): Fields {
  return body instanceof Map ? body : none
}

/** A field as text; undefined when it is absent, null, false, or no scalar. */
export function textOf(fields: Fields, name: string): string | undefined {
  const value = fields.get(name)
  if (typeof value === "string") return value
  return typeof value === "number" || value === true ? String(value) : undefined
}

/** A field as a whole number without a sign or with a plus, blanks around it allowed; undefined when it is anything else. */
export function wholeNumberOf(text: string | undefined): number | undefined {
  const digits = /^\s*\+?0*(\d{1,9})\s*$/.exec(text ?? "")?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** The first value of a name counts, as it does in the original. */
function formFields(text: string): Fields {
  const fields = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(text)) if (!fields.has(name)) fields.set(name, value)
  return fields
}

function jsonFields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? new Map(Object.entries(value)) : none
}
