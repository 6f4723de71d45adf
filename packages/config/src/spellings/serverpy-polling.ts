import type { Check, InstancePriority } from "@meshwork/contract"
import { z } from "zod"
import { type Finding, mapping, oneOf, value } from "../values.ts"

const optional = z.exactOptional

/** A number between bounds; text that spells one is none, as in the original. */
function number(min: number, max: number, accepted: string): z.ZodType<number> {
  return value(accepted, (found) => (typeof found === "number" && found >= min && found <= max ? found : undefined))
}

function wholeNumber(min: number, max: number): z.ZodType<number> {
  return value(`a whole number from ${min} to ${max}`, (found) =>
    typeof found === "number" && Number.isInteger(found) && found >= min && found <= max ? found : undefined,
  )
}

const endpoint = value("a path such as /health, without blanks", (found) => {
  if (typeof found !== "string" || found === "") return undefined
  const path = found.startsWith("/") ? found : `/${found}`
  return path.length <= 2048 && /^\/[\x21-\x7e]*$/.test(path) ? path : undefined
})

const shape = {
  method: optional(oneOf(["health", "ping"])),
  endpoint: optional(endpoint),
  frequency: optional(number(0.1, 86_400, "a number of seconds from 0.1 to 86400")),
  retries: optional(wholeNumber(0, 100)),
  retry_delay: optional(number(0, 3600, "a number of seconds from 0 to 3600")),
  packet_limit: optional(wholeNumber(1, 1_000_000)),
  priority: optional(oneOf(["high", "med", "low"])),
}

/** The key `polling` of a service, and what stands at an address; the parts that belong together are judged by `pollingFindings`. */
export const pollingSchema = mapping(shape)
/** Polling as it is written, every part of it optional. */
export type Polling = z.output<typeof pollingSchema>

/** The instance's own values before those of the service. */
export function mergedPolling(service: unknown, own: unknown): Readonly<Record<string, unknown>> {
  return { ...(service as object | undefined), ...(own as object | undefined) }
}

/** What a polling lacks once everything that adds to it is put together. `at` is where it would have to be. */
export function pollingFindings(polling: Readonly<Record<string, unknown>>, at: Finding["path"]): Finding[] {
  const { method, endpoint: path, retries, retry_delay: delay } = polling
  const lack = (key: string, why: string): Finding => ({ path: [...at, key], message: `is missing; ${why}` })
  const found: Finding[] = []
  if (method === undefined) found.push(lack("method", "accepted is health, ping"))
  if (method === "health" && path === undefined) found.push(lack("endpoint", "the method health needs the path it is to ask for"))
  if (typeof retries === "number" && retries > 0 && delay === undefined) found.push(lack("retry_delay", "retries need the seconds between them"))
  return found
}

/** The check a polling stands for. `port` says whether the address names one. */
export function checkOf(polling: Polling, port: boolean): Check {
  const { method, endpoint: path, frequency = 60, retries = 0, retry_delay: delay = 0, packet_limit: packetLimit = 5000 } = polling
  return {
    ...(method === "health" ? { method: "http" as const, path: path ?? "/" } : { method: "ping" as const, ...(port ? {} : { icmp: true }) }),
    frequencySeconds: frequency,
    timeoutSeconds: 5,
    retries,
    retryDelaySeconds: delay,
    passAfter: 1,
    failAfter: 1,
    packetLimit,
  }
}

/** The rank of an instance; the lowest where none is given. */
export function priorityOf({ priority = "low" }: Polling): InstancePriority {
  return priority
}
