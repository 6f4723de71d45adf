import { isIP } from "node:net"
import { normalizeHost, serviceNameSchema, type Tags, tagsSchema, weightSchema } from "@meshwork/contract"
import { parseJsonBody } from "../../json-body.ts"
import { type Fields, textOf, wholeNumberOf } from "./body-fields.ts"

/** A host as its POST describes it, checked. */
export interface SentHost {
  ip: string
  port: number
  revision: string
  /** Undefined when not sent, or empty. */
  repo: string | undefined
  /** With `az`, `instance_id` and `region`; weight and canary, where present, are valid. */
  tags: Tags
}

/** The body of an answer that refuses a request. */
export interface Refusal {
  refused: Readonly<Record<string, string>>
}

const invalid: Refusal = { refused: {} }
const badJson: Refusal = { refused: { error: "Invalid json supplied in tags" } }
const longestLabel = 256

/**
 * Reads a registration; the first check that fails decides how it is refused: an address, tags that are JSON, tags with what they
 * must have, then service, address, port and revision.
 * @param autoIp finds the caller's own address
 */
export function readRegistration(service: string, fields: Fields, autoIp: () => string | undefined): SentHost | Refusal {
  const address = textOf(fields, "ip") || (textOf(fields, "auto_ip") ? autoIp() : undefined)
  if (address === undefined) return invalid
  const tags = readTags(fields.get("tags"))
  if (tags === undefined) return badJson
  if (!areHostTags(tags)) return invalid
  const ip = ipLiteral(address)
  const port = portNumber(textOf(fields, "port"))
  const revision = textOf(fields, "revision") ?? ""
  const repo = textOf(fields, "service_repo_name") || undefined
  const named = serviceNameSchema.safeParse(service).success
  if (!named || ip === undefined || port === undefined || revision === "") return invalid
  if (revision.length > longestLabel || (repo?.length ?? 0) > longestLabel) return invalid
  return { ip, port, revision, repo, tags }
}

/** An IP literal in its one spelling; undefined for anything else, brackets included. */
export function ipLiteral(text: string): string | undefined {
  return isIP(text) === 0 ? undefined : normalizeHost(text)
}

/** A TCP port; undefined for anything else. */
export function portNumber(text: string | undefined): number | undefined {
  const port = wholeNumberOf(text)
  return port === undefined || port < 1 || port > 65_535 ? undefined : port
}

/** Tags as a value; null when there are none, undefined when the text is no JSON. */
function readTags(sent: unknown): unknown {
  if (typeof sent !== "string") return sent ?? null
  if (sent === "") return null
  try {
    return parseJsonBody(sent)
  } catch {
    return undefined
  }
}

function areHostTags(tags: unknown): tags is Tags {
  if (typeof tags !== "object" || tags === null || Array.isArray(tags)) return false
  if (!["az", "instance_id", "region"].every((name) => Object.hasOwn(tags, name))) return false
  const { load_balancing_weight: weight, canary } = tags as Record<string, unknown>
  if (Object.hasOwn(tags, "load_balancing_weight") && !weightSchema.safeParse(weight).success) return false
  if (Object.hasOwn(tags, "canary") && typeof canary !== "boolean") return false
  return tagsSchema.safeParse(tags).success
}
