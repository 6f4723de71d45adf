import { type Check, formatHostPort, tagsSchema } from "@meshwork/contract"
import { z } from "zod"
import type { StaticInstanceConfig } from "../model.ts"
import {
  address,
  type Address,
  duration,
  type Finding,
  flag,
  instanceId,
  isMapping,
  judgedBy,
  mapping,
  mappingOr,
  oneOf,
  parseAddress,
  text,
  value,
  whole,
} from "../values.ts"

const optional = z.exactOptional
const checkPath = value("a path that begins with '/' and holds no blanks", (found) =>
  typeof found === "string" && found.length <= 2048 && /^\/[\x21-\x7e]*$/.test(found) ? found : undefined,
)

/** The key `check` of a service or an instance. */
const checkSection = mapping({
  method: oneOf(["http", "ping"]),
  path: optional(checkPath),
  frequency: optional(duration(100, 86_400_000)),
  timeout: optional(duration(10, 300_000)),
  retries: optional(whole(0, 100)),
  retryDelay: optional(duration(0, 3_600_000)),
  passAfter: optional(whole(1, 100)),
  failAfter: optional(whole(1, 100)),
  packetLimit: optional(whole(1, 1_000_000)),
  insecure: optional(flag),
  icmp: optional(flag),
}).transform(
  ({
    method,
    path,
    insecure,
    icmp,
    frequency = 60_000,
    timeout = 5000,
    retries = 0,
    retryDelay = 0,
    passAfter = 1,
    failAfter = 1,
    packetLimit = 5000,
  }): Check => ({
    method,
    ...(path === undefined ? {} : { path }),
    frequencySeconds: frequency / 1000,
    timeoutSeconds: timeout / 1000,
    retries,
    retryDelaySeconds: retryDelay / 1000,
    passAfter,
    failAfter,
    packetLimit,
    ...(insecure === undefined ? {} : { insecure }),
    ...(icmp === undefined ? {} : { icmp }),
  }),
)

const label = text("a text of 1 to 256 characters").refine((found) => found.length <= 256)

/** An entry of `instances`, in its long form. */
const instanceSection = mapping({
  address,
  id: optional(instanceId),
  weight: optional(whole(1, 100)),
  priority: optional(oneOf(["high", "med", "low"])),
  zone: optional(label),
  region: optional(label),
  canary: optional(flag),
  tags: optional(judgedBy("a mapping of at most 16 KiB as JSON", tagsSchema)),
  check: optional(checkSection),
})

const shortInstance = address.transform((address): z.output<typeof instanceSection> => ({ address }))

/** An entry of `services`: an instance without a check has the service's. */
export const serviceSchema = mapping(
  { instances: z.array(mappingOr(shortInstance, instanceSection)).min(1), check: optional(checkSection) },
  (service) => duplicates(service["instances"]),
).transform(({ instances, check }) => ({
  instances: instances.map(({ address, id = idOf(address), tags = {}, priority = "med", ...rest }): StaticInstanceConfig => {
    return { ...(check === undefined ? {} : { check }), ...rest, ...address, id, tags, priority }
  }),
}))

const idOf = ({ host, port }: Address) => formatHostPort(host, port)

function duplicates(instances: unknown): Finding[] {
  const seen = new Set<string>()
  return (Array.isArray(instances) ? instances : []).flatMap((instance: unknown, index) => {
    const where = parseAddress(isMapping(instance) ? instance["address"] : instance)
    if (where === undefined) return []
    const names =
      isMapping(instance) && typeof instance["id"] === "string" ? [idOf(where), `id ${instance["id"]}`] : [idOf(where), `id ${idOf(where)}`]
    const twice = names.some((name) => seen.has(name))
    for (const name of names) seen.add(name)
    return twice ? [{ path: ["instances", index], message: `${idOf(where)} is here a second time: each address and each id once in a service` }] : []
  })
}
