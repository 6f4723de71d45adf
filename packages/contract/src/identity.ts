import { isIP } from "node:net"
import { z } from "zod"

const name = /^[\x21-\x2e\x30-\x7e]+$/
const nameWithBlanks = /^[\x21-\x2e\x30-\x7e](?:[\x20-\x2e\x30-\x7e]*[\x21-\x2e\x30-\x7e])?$/
const notDots = (text: string) => text !== "." && text !== ".."
const hostLabel = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/** Name of a service: 1 to 128 printable ASCII characters without `/`, inner blanks allowed, case-sensitive. */
export const serviceNameSchema = z
  .string()
  .min(1)
  .max(128)
  .regex(nameWithBlanks, "must be printable ASCII without '/', with blanks only inside")
  .refine(notDots, "must not be '.' or '..'")

/** Id of an instance within its service: 1 to 256 printable ASCII characters without blanks and `/`. */
export const instanceIdSchema = z
  .string()
  .min(1)
  .max(256)
  .regex(name, "must be printable ASCII without blanks and '/'")
  .refine(notDots, "must not be '.' or '..'")

/**
 * The one spelling of a host: lower-cased, IPv6 compressed and without brackets.
 * Undefined when it is neither an IP literal nor a DNS name.
 */
export function normalizeHost(host: string): string | undefined {
  const bare = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host
  const version = isIP(bare)
  if (version === 4) return bare
  if (version === 6) return bare.includes("%") ? undefined : new URL(`http://[${bare}]`).hostname.slice(1, -1)
  if (bare !== host || bare.length > 253) return undefined
  const lower = bare.toLowerCase()
  const labels = lower.split(".")
  const last = labels[labels.length - 1] ?? ""
  if (/^\d+$/.test(last) || !labels.every((label) => hostLabel.test(label))) return undefined
  return lower
}

/** Host of an instance: DNS name, IPv4 or IPv6 literal; parsed to its one spelling. */
export const hostSchema = z.string().transform((host, context) => {
  const normal = normalizeHost(host)
  if (normal !== undefined) return normal
  context.addIssue({ code: "custom", message: `must be a DNS name or an IP address, found ${JSON.stringify(host.slice(0, 80))}` })
  return z.NEVER
})

/** TCP port. */
export const portSchema = z.int().min(1).max(65_535)

/** `host:port`, with IPv6 in brackets. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
}

/** Reads `host:port` or `[ipv6]:port`; undefined when it is neither. */
export function parseHostPort(text: string): { host: string; port: number } | undefined {
  const match = /^(\[[^\]]+\]|[^:[\]]+):(\d{1,5})$/.exec(text)
  if (!match) return undefined
  const host = normalizeHost(match[1] ?? "")
  const port = Number(match[2])
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port }
}
