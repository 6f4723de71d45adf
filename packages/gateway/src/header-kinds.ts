/** What a header means to a proxy, by its name alone. `plain` ones are passed on. */
export type HeaderKind =
  | "plain"
  | "hop"
  | "connection"
  | "transfer-encoding"
  | "trailer"
  | "content-length"
  | "host"
  | "alias"
  | "rewritten"
  | "forwarded"
  | "timeout"
  | "attempt"
  | "mesh"
  | "load"
  | "via"
  | "idempotency-key"
  | "authorization"

const kinds: ReadonlyMap<string, HeaderKind> = new Map<string, HeaderKind>([
  // Those of one connection; never passed on.
  ["connection", "connection"],
  ["transfer-encoding", "transfer-encoding"],
  ["trailer", "trailer"],
  ...["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "upgrade", "expect"].map((name) => [name, "hop"] as const),
  ["content-length", "content-length"],
  ["host", "host"],
  // What the gateway says of the caller; a caller that is not trusted cannot say it.
  ...["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded"].map((name) => [name, "rewritten"] as const),
  ["x-real-ip", "forwarded"],
  // What one part of the mesh says to the next.
  ["x-request-timeout", "timeout"],
  ["x-request-attempt", "attempt"],
  ["x-request-priority", "mesh"],
  ["x-service-name", "mesh"],
  ["x-meshwork-load", "load"],
  ["via", "via"],
  ["idempotency-key", "idempotency-key"],
  ["authorization", "authorization"],
])

/** Those that end with a connection: the kinds that hop-by-hop headers have. */
const ofConnection = new Set<HeaderKind>(["hop", "connection", "transfer-encoding", "trailer"])
const ofMesh = new Set<HeaderKind>(["timeout", "attempt", "mesh"])
/** A name of more than letters, digits and dashes. */
const unusual = /[^0-9A-Za-z-]/

/** Spellings met so far; names come from callers, so there is an end to them. */
const known = new Map<string, HeaderKind>()
const maxKnown = 1000
const longestKnown = 64

/** The kind of a header; its name in any case. Names that were met before cost one look-up. */
export function headerKind(name: string): HeaderKind {
  const met = known.get(name)
  if (met !== undefined) return met
  const kind = kindOf(name.toLowerCase())
  if (known.size < maxKnown && name.length <= longestKnown) known.set(name, kind)
  return kind
}

function kindOf(lower: string): HeaderKind {
  const kind = kinds.get(lower)
  if (kind !== undefined) return kind
  if (unusual.test(lower) && isAlias(lower)) return "alias"
  return lower.startsWith("x-forwarded-") ? "forwarded" : "plain"
}

/** Whether a header belongs to one connection. */
export function isOfConnection(name: string): boolean {
  return ofConnection.has(headerKind(name))
}

/** Whether a header says where a request comes from. */
export function isForwarded(name: string): boolean {
  const kind = headerKind(name)
  return kind === "forwarded" || kind === "rewritten"
}

/** Whether `Connection` may not name a header: what frames or places a message, and what the gateway itself says. */
export function isUntouchable(name: string): boolean {
  const kind = headerKind(name)
  return kind === "host" || kind === "content-length" || kind === "via" || ofMesh.has(kind) || isForwarded(name)
}

/** Whether other programs (CGI, PHP, nginx) may read a name as one that means something here: they know no punctuation but one. */
function isAlias(lower: string): boolean {
  if (lower.includes("_")) return true
  const plain = lower.replace(/[^0-9a-z-]/g, "-")
  return isUntouchable(plain) || isOfConnection(plain)
}
