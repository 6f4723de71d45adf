import { z } from "zod"
import { hostSchema, instanceIdSchema, portSchema, serviceNameSchema } from "./identity.ts"

/** Format written into stored records by this version; a record with a higher one is served but never rewritten. */
export const recordFormat = 1

const maxTagBytes = 16 * 1024
const seconds = (min: number, max: number) => z.number().min(min).max(max)

const checkFields = {
  method: z.enum(["http", "ping"]),
  path: z.exactOptional(
    z
      .string()
      .max(2048)
      .regex(/^\/[\x21-\x7e]*$/, "must begin with '/' and hold no blanks"),
  ),
  frequencySeconds: seconds(0.1, 86_400).default(60),
  timeoutSeconds: seconds(0.01, 300).default(5),
  retries: z.int().min(0).max(100).default(0),
  retryDelaySeconds: seconds(0, 3600).default(0),
  passAfter: z.int().min(1).max(100).default(1),
  failAfter: z.int().min(1).max(100).default(1),
  packetLimit: z.int().min(1).max(1_000_000).default(5000),
  /** Accepts any certificate of an https instance; absent = false. */
  insecure: z.exactOptional(z.boolean()),
  /** Whether `ping` is an ICMP echo to the host instead of a TCP connect to the port; absent = false. */
  icmp: z.exactOptional(z.boolean()),
}

/** How an instance is probed: `retries` belong to one cycle, `passAfter` and `failAfter` count cycles. */
export const checkSchema = z.strictObject(checkFields)
export type Check = z.output<typeof checkSchema>

/** Arbitrary labels of an instance; at most 16 KiB as JSON. */
export const tagsSchema = z
  .record(z.string(), z.json())
  .refine((tags) => Buffer.byteLength(JSON.stringify(tags)) <= maxTagBytes, "must be at most 16 KiB as JSON")
export type Tags = z.output<typeof tagsSchema>

export const prioritySchema = z.enum(["high", "med", "low"])
/** Rank of an instance: the best rank that has a serving instance is used. */
export type InstancePriority = z.output<typeof prioritySchema>

/** Share of traffic relative to the other instances; absent means 1. */
export const weightSchema = z.int().min(1).max(100)
const label = z.string().min(1).max(256)

const registrationFields = {
  host: hostSchema,
  port: portSchema,
  scheme: z.enum(["http", "https", "tcp"]).default("http"),
  weight: z.exactOptional(weightSchema),
  priority: prioritySchema.default("med"),
  zone: z.exactOptional(label),
  region: z.exactOptional(label),
  revision: z.exactOptional(label),
  repo: z.exactOptional(label),
  canary: z.exactOptional(z.boolean()),
  tags: tagsSchema.default({}),
  check: z.exactOptional(checkSchema),
  ttlSeconds: z
    .number()
    .refine((ttl) => ttl === 0 || (ttl >= 3 && ttl <= 86_400), "must be 0 (for ever) or 3 to 86400")
    .default(30),
  boot: z.exactOptional(label),
}

/** What a caller sends to register an instance; replaces what it sent before, tags included. */
export const registrationSchema = z.strictObject(registrationFields)
export type Registration = z.output<typeof registrationSchema>
/** A registration as callers may write it, defaults left out. */
export type RegistrationInput = z.input<typeof registrationSchema>

export const stateSchema = z.enum(["up", "draining", "disabled"])
/** What the operator or the instance wants. */
export type InstanceState = z.output<typeof stateSchema>

export const healthSchema = z.looseObject({
  status: z.enum(["unknown", "passing", "failing"]),
  since: z.number(),
  reason: z.string(),
  by: z.string(),
  availability: z.exactOptional(z.number().min(0).max(1)),
  /** How much it flapped when this was concluded: 1 for each failure, falling with time; 0 or absent for a steady one. */
  penalty: z.exactOptional(z.number().min(0)),
})
/** What the poller knows; `since` in Unix ms, `availability` the share of successful probes in steps of 0.05. */
export type Health = z.output<typeof healthSchema>
export type HealthStatus = Health["status"]

export const overrideSchema = z.looseObject({
  weight: z.exactOptional(weightSchema),
  state: z.exactOptional(stateSchema),
  by: z.string(),
  at: z.number(),
})
/** What an operator set; wins over the instance's own values until taken back. */
export type Override = z.output<typeof overrideSchema>

export const originSchema = z.enum(["api", "lyft", "config", "docker", "etcd"])
/** Through which door a record came. */
export type Origin = z.output<typeof originSchema>

export const suspicionSchema = z.looseObject({ since: z.number(), until: z.number(), reason: z.string() })
/** Why and how long (Unix ms) an instance whose lease ran out is held instead of removed. */
export type Suspicion = z.output<typeof suspicionSchema>

const recordFields = {
  ...registrationFields,
  check: z.exactOptional(z.looseObject(checkFields)),
  service: serviceNameSchema,
  id: instanceIdSchema,
  origin: originSchema,
  registeredAt: z.number(),
  health: healthSchema,
}

/** What is stored of an instance. Unknown fields are kept and written back. */
export const instanceRecordSchema = z.looseObject({
  ...recordFields,
  /** What the instance itself asked for; absent means up. An operator's wish is in `override`. */
  state: z.exactOptional(stateSchema),
  override: z.exactOptional(overrideSchema),
  suspect: z.exactOptional(suspicionSchema),
  keeper: z.exactOptional(z.string()),
  /** Unix ms of the last heartbeat that the keeper of a long lease told a store of several servers of. */
  renewedAt: z.exactOptional(z.number()),
  format: z.int(),
})
export type InstanceRecord = z.output<typeof instanceRecordSchema>

export const standingSchema = z.enum(["serving", "suspect", "draining", "out"])
/** Derived from state, lease and health; what callers act on. */
export type Standing = z.output<typeof standingSchema>

/** What lists and watches carry: the record with its override applied. No field moves with a heartbeat. */
export const instanceSchema = z.looseObject({
  ...recordFields,
  state: stateSchema,
  standing: standingSchema,
  why: z.string(),
})
export type Instance = z.output<typeof instanceSchema>

export const leaseSchema = z.looseObject({
  ttlSeconds: z.number(),
  renewedAt: z.number(),
  expiresAt: z.number().nullable(),
})
/** Lease of an instance, times in Unix ms; `expiresAt` null = never. */
export type Lease = z.output<typeof leaseSchema>

const probeSchema = z.looseObject({ at: z.number(), ms: z.number(), status: z.string(), said: z.exactOptional(z.string()) })

export const probingSchema = z.looseObject({
  /** Server that probes it, where that is another one; then nothing else is known here. */
  by: z.exactOptional(z.string()),
  last: z.exactOptional(probeSchema),
  /** When the next probe is due; absent while one is under way. */
  nextAt: z.exactOptional(z.number()),
  /** Cycles that ended the same way in a row. */
  passed: z.exactOptional(z.int()),
  failed: z.exactOptional(z.int()),
  penalty: z.exactOptional(z.number()),
  /** Until when it is held as failing for flapping, unless it fails again. */
  heldUntil: z.exactOptional(z.number()),
  /** A sentence. */
  next: z.string(),
})
/** How probing an instance goes: times in Unix ms, `next` says what will change the verdict. */
export type Probing = z.output<typeof probingSchema>

export const loadSchema = z.strictObject({
  lagMs: z.exactOptional(z.number().min(0)),
  utilisation: z.exactOptional(z.number().min(0).max(1)),
  inFlight: z.exactOptional(z.int().min(0)),
})
/** Load a process reports of itself: event-loop lag, utilisation from 0 to 1, requests in flight. */
export type Load = z.output<typeof loadSchema>

/** Identity of an instance. */
export interface InstanceKey {
  service: string
  id: string
}

/** One text per instance; `/` cannot occur in either half. */
export function keyText(key: InstanceKey): string {
  return `${key.service}/${key.id}`
}
