import type { z } from "zod"
import type { ConfigDocument } from "./document.ts"
import type { ConfigIssue, DocumentPath } from "./issue.ts"
import { suggest } from "./suggestion.ts"
import { acceptedParam, isMapping } from "./values.ts"

const secret = /token|secret|password/i

/** What a schema found, as issues with their place; what is already known to be wrong is left out. */
export function schemaIssues(document: ConfigDocument, issues: readonly z.core.$ZodIssue[]): ConfigIssue[] {
  return issues.flatMap((issue) => {
    const path = issue.path.filter((step) => typeof step !== "symbol")
    if (document.failed(path)) return []
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(document, path, key, issue.message.split(", ")))
    if (issue.code === "invalid_key") {
      const accepted = acceptedBy(issue.issues[0]) ?? "a name"
      return [document.issue(path, { kind: "value", accepted, message: `this name is not accepted; accepted is ${accepted}` }, "key")]
    }
    const accepted = acceptedBy(issue)
    if (accepted === undefined) return [document.issue(path, { kind: "value", message: issue.message })]
    const { exists, value } = lookUp(document.value, path)
    if (!exists) return [document.issue(path, { kind: "missing", accepted, message: `is missing; accepted is ${accepted}` })]
    const found = describeFound(document, path, value)
    return [document.issue(path, { kind: "value", found, accepted, message: `found ${found}; accepted is ${accepted}` })]
  })
}

function unknownKey(document: ConfigDocument, path: DocumentPath, key: string, known: readonly string[]): ConfigIssue {
  const near = suggest(key, known)
  const accepted = known.join(", ")
  const name = JSON.stringify(key.slice(0, 80))
  const message = near === undefined ? `unknown key ${name}; accepted are ${accepted}` : `unknown key ${name}; did you mean ${JSON.stringify(near)}?`
  return document.issue([...path, key], { kind: "unknown-key", found: key.slice(0, 80), accepted, message }, "key")
}

function acceptedBy(issue: z.core.$ZodIssue | undefined): string | undefined {
  if (issue?.code === "custom") return issue.params?.[acceptedParam] as string | undefined
  if (issue?.code === "invalid_type") return kinds[issue.expected] ?? issue.message
  if (issue?.code === "too_small" && issue.origin === "array") return `a list of at least ${issue.minimum}`
  return undefined
}

const kinds: Readonly<Record<string, string>> = { object: "a mapping", record: "a mapping", array: "a list" }

function lookUp(value: unknown, path: DocumentPath): { exists: boolean; value?: unknown } {
  let here = value
  for (const step of path) {
    if (typeof here !== "object" || here === null || !Object.hasOwn(here, step)) return { exists: false }
    here = (here as Record<string | number, unknown>)[step]
  }
  return { exists: true, value: here }
}

/** What the document says at a place, short, and without what may be secret. */
function describeFound(document: ConfigDocument, path: DocumentPath, value: unknown): string {
  if (path.some((step) => typeof step === "string" && secret.test(step))) return "something that is not repeated here"
  const reference = document.reference(path)
  if (reference !== undefined) return `the value of ${reference.slice(0, 80)}`
  if (value === null) return "nothing"
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list"
  if (isMapping(value)) return "a mapping"
  if (typeof value !== "string") return JSON.stringify(value) ?? typeof value
  const shown = value.replace(/\/\/[^/@\s]*@/, "//…@")
  return JSON.stringify(shown.length > 80 ? `${shown.slice(0, 80)}…` : shown)
}
