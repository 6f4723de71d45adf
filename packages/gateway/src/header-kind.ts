/** What a proxy has to do with a header, by its name. */
export type HeaderKind =
  | "plain"
  | "hop"
  | "connection"
  | "host"
  | "content-length"
  | "transfer-encoding"
  | "expect"
  | "trailer"
  | "forwarded-for"
  | "forwarded-host"
  | "forwarded-proto"
  | "forwarded"
  | "forwarded-other"
  | "via"
  | "request-timeout"
  | "request-attempt"
  | "request-priority"
  | "idempotency-key"
  | "content-type"
  | "load"
  | "underscore"

const special: Readonly<Record<string, HeaderKind>> = {
  connection: "connection",
  "keep-alive": "hop",
  "proxy-connection": "hop",
  "proxy-authenticate": "hop",
  "proxy-authorization": "hop",
  te: "hop",
  upgrade: "hop",
  "http2-settings": "hop",
  trailer: "trailer",
  "transfer-encoding": "transfer-encoding",
  expect: "expect",
  host: "host",
  "content-length": "content-length",
  "content-type": "content-type",
  "x-forwarded-for": "forwarded-for",
  "x-forwarded-host": "forwarded-host",
  "x-forwarded-proto": "forwarded-proto",
  forwarded: "forwarded",
  "x-real-ip": "forwarded-other",
  via: "via",
  "x-request-timeout": "request-timeout",
  "x-request-attempt": "request-attempt",
  "x-request-priority": "request-priority",
  "x-meshwork-load": "load",
  "idempotency-key": "idempotency-key",
}

/** Kinds that a `Connection` header may take away; the rest is the proxy's own business. */
const removable: ReadonlySet<HeaderKind> = new Set(["plain", "hop", "trailer", "underscore", "idempotency-key"])

const maxKnown = 2000
const maxKnownLength = 64
const known = new Map<string, HeaderKind>()

/** The kind of a header, whatever the case of its name. Remembers common spellings, so that they are not lower-cased again. */
export function headerKind(name: string): HeaderKind {
  const kind = known.get(name)
  if (kind !== undefined) return kind
  const found = classify(name.toLowerCase())
  if (known.size < maxKnown && name.length <= maxKnownLength) known.set(name, found)
  return found
}

function classify(name: string): HeaderKind {
  if (Object.hasOwn(special, name)) return special[name] ?? "plain"
  if (name.includes("_")) return "underscore"
  return name.startsWith("x-forwarded-") ? "forwarded-other" : "plain"
}

/** Lower-case names that a `Connection` header takes away; undefined when it names none. */
export function connectionNames(value: string): string[] | undefined {
  let names: string[] | undefined
  for (const part of value.split(",")) {
    const name = part.trim().toLowerCase()
    if (name === "" || name === "close" || name === "keep-alive" || !removable.has(headerKind(name))) continue
    if (names) names.push(name)
    else names = [name]
  }
  return names
}
