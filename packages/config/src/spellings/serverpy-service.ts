import { formatHostPort } from "@meshwork/contract"
import { z } from "zod"
import type { StaticInstanceConfig } from "../model.ts"
import { type Address, type Finding, isMapping, mapping, mappingOr, parseAddress, requestPath, value } from "../values.ts"
import { checkOf, mergedPolling, pollingFindings, pollingSchema, priorityOf, type Polling } from "./serverpy-polling.ts"

const optional = z.exactOptional

/** An address as it is written, and what it stands for. */
interface WrittenAddress extends Address {
  written: string
  /** Whether it names a port. */
  port: number
  hasPort: boolean
}

const acceptedAddress = "host, host:port or a URL with http or https and without a path"

function readAddress(found: unknown): WrittenAddress | undefined {
  const address = parseAddress(found)
  if (typeof found !== "string" || address === undefined || address.scheme === "tcp") return undefined
  return { ...address, written: found, hasPort: /:\d+\/?$/.test(found) }
}

const address = value(acceptedAddress, readAddress)
const shapes = "a list of addresses, or a mapping from address to polling"
// Whatever is neither is told of both.
const serverList = value(shapes, (found) => (Array.isArray(found) ? (found as unknown[]) : undefined)).pipe(z.array(address).min(1))

/** What a service of ServerPy's file comes to. */
export interface ServerPyService {
  instances: StaticInstanceConfig[]
  apis: string[]
}

/** A service: `servers` shares `polling` as a list, and has a polling for each address as a map. */
export const serviceSchema: z.ZodType<ServerPyService> = mapping(
  {
    servers: mappingOr(serverList, z.record(z.string(), pollingSchema)),
    polling: optional(pollingSchema),
    apis: z.array(requestPath).min(1),
  },
  findings,
).transform(({ servers, polling = {}, apis }): ServerPyService => {
  const entries: [WrittenAddress, Polling][] = Array.isArray(servers)
    ? servers.map((each) => [each, polling])
    : Object.entries(servers).flatMap(([written, own]): [WrittenAddress, Polling][] => {
        const read = readAddress(written)
        return read === undefined ? [] : [[read, { ...polling, ...own }]]
      })
  return { instances: entries.map(([where, merged]) => instanceOf(where, merged)), apis }
})

function instanceOf({ written, host, port, scheme, hasPort }: WrittenAddress, polling: Polling): StaticInstanceConfig {
  const id = formatHostPort(host, port)
  return { id, host, port, scheme, priority: priorityOf(polling), tags: { "serverpy.address": written }, check: checkOf(polling, hasPort) }
}

/** What no single value shows: parts of a polling that belong together, addresses that are none or here twice. */
function findings(service: Readonly<Record<string, unknown>>): Finding[] {
  const { servers, polling } = service
  if (isMapping(servers))
    return [...mapFindings(servers, polling), ...twice(Object.keys(servers).map((key) => ({ at: ["servers", key], found: key })))]
  const list = Array.isArray(servers) ? servers : []
  const found = twice(list.map((each: unknown, index) => ({ at: ["servers", index], found: each })))
  if (polling === undefined) return [...found, { path: ["polling"], message: "is missing; a list of servers needs a polling that they share" }]
  if (!isMapping(polling)) return found
  if (Object.hasOwn(polling, "priority")) {
    const message = "goes with servers that have a polling each: all of a list would have the same"
    found.push({ path: ["polling", "priority"], message })
  }
  return [...found, ...pollingFindings(polling, ["polling"])]
}

function mapFindings(servers: Readonly<Record<string, unknown>>, polling: unknown): Finding[] {
  const keys = Object.keys(servers)
  if (keys.length === 0) return [{ path: ["servers"], message: "found an empty mapping; accepted is at least one address" }]
  return keys.flatMap((key) => {
    const own = servers[key]
    const at = ["servers", key]
    const found: Finding[] = readAddress(key) === undefined ? [{ path: at, message: `this is no address; accepted is ${acceptedAddress}` }] : []
    if (!isMapping(own) || (polling !== undefined && !isMapping(polling))) return found
    return [...found, ...pollingFindings(mergedPolling(polling, own), at)]
  })
}

function twice(addresses: readonly { at: (string | number)[]; found: unknown }[]): Finding[] {
  const seen = new Map<string, unknown>()
  return addresses.flatMap(({ at, found }) => {
    const read = readAddress(found)
    if (read === undefined) return []
    const id = formatHostPort(read.host, read.port)
    const earlier = seen.get(id)
    seen.set(id, found)
    return earlier === undefined ? [] : [{ path: at, message: `is here a second time: ${JSON.stringify(earlier)} stands for ${id} too` }]
  })
}
