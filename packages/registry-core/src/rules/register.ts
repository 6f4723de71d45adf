import { type InstanceKey, type InstanceRecord, type Origin, recordFormat, type Registration } from "@meshwork/contract"
import { told } from "./renewal.ts"

export interface RegistrationContext {
  origin: Origin
  /** Unix ms. */
  now: number
  /** Server that hears its heartbeats. */
  keeper: string
  /** Whether the storage is one of several servers, which are told of the renewals of long leases. */
  shared?: boolean
}

/**
 * The record after a registration. Without `boot`, or with the same one, state, health and override stay; another boot is a new
 * process: its own draining ends and its health is unknown until it was probed, while what an operator set stays.
 */
export function registered(current: InstanceRecord | undefined, key: InstanceKey, sent: Registration, context: RegistrationContext): InstanceRecord {
  const leased = sent.ttlSeconds > 0 ? { keeper: context.keeper, ...(context.shared === true ? told(sent, context.now) : {}) } : {}
  const identity = { service: key.service, id: key.id, origin: context.origin, format: recordFormat, ...leased }
  const unknown = { status: "unknown" as const, since: context.now, reason: "not probed yet", by: "registry" }
  if (current === undefined) return { ...sent, ...identity, registeredAt: context.now, health: unknown }
  const { state, override, health, registeredAt, boot, suspect: _heard, ...rest } = current
  const kept = override === undefined ? {} : { override }
  const foreign = unknownFields(rest)
  const successor = sent.boot !== undefined && sent.boot !== boot
  if (successor) return { ...foreign, ...sent, ...identity, ...kept, registeredAt: context.now, health: unknown }
  const own = state === undefined ? {} : { state }
  const process = boot === undefined ? {} : { boot }
  return { ...foreign, ...process, ...sent, ...identity, ...kept, ...own, registeredAt, health: stillKnown(current, sent) ? health : unknown }
}

/** A verdict is about an address and a check: where either is gone, so is the verdict. */
function stillKnown(current: InstanceRecord, sent: Registration): boolean {
  if (current.health.status === "unknown") return true
  return sent.check !== undefined && current.host === sent.host && current.port === sent.port && current.scheme === sent.scheme
}

const known = new Set(
  [
    "host port scheme weight priority zone region revision repo canary tags check ttlSeconds boot",
    "service id origin registeredAt health state override suspect keeper renewedAt format",
  ].flatMap((names) => names.split(" ")),
)

/** Fields of a later version, which this one keeps as they are. */
function unknownFields(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !known.has(name)))
}
