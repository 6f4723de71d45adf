import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { z } from "zod"
import type { RouteDefinition } from "./route.ts"
import { routes } from "./routes.ts"
import { checkSchema, registrationSchema } from "./service-model.ts"
import { watchEventSchemas } from "./watch-events.ts"

interface Shape {
  type?: string
  enum?: string[]
  const?: unknown
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  maxItems?: number
  default?: unknown
  properties?: Record<string, Shape>
  required?: string[]
  anyOf?: Shape[]
  items?: Shape
}

const shapeOf = (schema: z.ZodType) => z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Shape
const code = (text: string) => `\`${text}\``

function accepted({ type, enum: choices, minimum, maximum, minLength, maxLength, anyOf, items }: Shape): string {
  if (choices) return choices.map(code).join(", ")
  if (anyOf) return anyOf.map(accepted).join(" or ")
  if (type === "array") return items === undefined ? "a list" : `a list of ${accepted(items)}`
  const whole = type === "integer" ? "a whole number" : type === "number" ? "a number" : undefined
  const bound = (value?: number) => (value === undefined || Math.abs(value) >= Number.MAX_SAFE_INTEGER ? undefined : value)
  if (whole !== undefined) {
    const [least, most] = [bound(minimum), bound(maximum)]
    return `${whole}${least === undefined ? "" : ` from ${least}`}${most === undefined ? "" : ` to ${most}`}`
  }
  if (type === "string") return maxLength === undefined ? "a text" : `a text of ${minLength ?? 0} to ${maxLength} characters`
  return type === "boolean" ? "true or false" : type === "object" ? "an object" : type === "null" ? "null" : "any value"
}

function fields(schema: z.ZodType): string {
  const { properties = {}, required = [] } = shapeOf(schema)
  const rows = Object.entries(properties).map(([name, shape]) => {
    const fallback = shape.default === undefined ? (required.includes(name) ? "needed" : "–") : code(JSON.stringify(shape.default))
    return `| \`${name}\` | ${accepted(shape)} | ${fallback} |\n`
  })
  return `| field | accepted | default |\n|---|---|---|\n${rows.join("")}`
}

const names = (schema: z.ZodType | undefined) => Object.keys(schema === undefined ? {} : (shapeOf(schema).properties ?? {}))

function chapter(): string {
  const rows = Object.values<RouteDefinition>(routes).map(({ method, path, summary, query, body, replies, errors, mutates }) => {
    const asked = [...names(query).map((name) => code(`${name}=`)), ...(body === undefined ? [] : [`body: ${names(body).map(code).join(" ")}`])]
    const statuses = [...Object.keys(replies), ...errors.map(code)]
    return `| ${mutates ? "**" : ""}${code(`${method} ${path}`)}${mutates ? "**" : ""} | ${summary} | ${asked.join(", ")} | ${statuses.join(", ")} |\n`
  })
  const events = Object.entries(watchEventSchemas).map(([name, schema]) => `| \`${name}\` | ${names(schema).map(code).join(", ")} |\n`)
  return [
    `| route | what | takes | answers |\n|---|---|---|---|\n${rows.join("")}`,
    `### A registration\n\n${fields(registrationSchema)}`,
    `### Its check\n\n${fields(checkSchema)}`,
    `### Events of a watch\n\n| event | data |\n|---|---|\n${events.join("")}`,
  ].join("\n")
}

const file = join(import.meta.dirname, "../../../docs/reference/http-api.md")
const markers = /(<!-- routes -->\n)(.*)(<!-- end of routes -->)/s
// UPDATE_REFERENCE=1 writes the chapter instead of comparing it.
if (process.env["UPDATE_REFERENCE"])
  writeFileSync(
    file,
    readFileSync(file, "utf8").replace(markers, (_, begin, __, end) => `${begin}\n${chapter()}\n${end}`),
  )

it("the reference has every route, field and event as the contract has them", () => {
  expect(markers.exec(readFileSync(file, "utf8"))?.[2]).toBe(`\n${chapter()}\n`)
})
