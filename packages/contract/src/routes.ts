import { z } from "zod"
import { instanceIdSchema, serviceNameSchema } from "./identity.ts"
import type { RouteDefinition } from "./route.ts"
import {
  instanceSchema,
  leaseSchema,
  loadSchema,
  originSchema,
  overrideSchema,
  probingSchema,
  registrationSchema,
  standingSchema,
  stateSchema,
  weightSchema,
} from "./service-model.ts"

const serviceParams = z.strictObject({ service: serviceNameSchema })
const instanceParams = z.strictObject({ service: serviceNameSchema, id: instanceIdSchema })
const bootText = z.string().min(1).max(256)
const position = { epoch: z.string(), revision: z.int() }
const oneOrMore = <T extends z.ZodType>(item: T) =>
  z.preprocess((value) => (value === undefined || Array.isArray(value) ? value : [value]), z.array(item))

export const instanceFilterSchema = z.strictObject({
  standing: z.exactOptional(standingSchema),
  zone: z.exactOptional(z.string()),
  canary: z.exactOptional(z.enum(["true", "false"])),
  tag: z.exactOptional(oneOrMore(z.string().regex(/^[^:]+:/, "must be key:value"))),
  repo: z.exactOptional(z.string()),
})
/** Filters of an instance list; the first colon of `tag` splits key and value. */
export type InstanceFilter = z.output<typeof instanceFilterSchema>

export const patchSchema = z.strictObject({
  weight: z.exactOptional(weightSchema.nullable()),
  state: z.exactOptional(stateSchema.nullable()),
  tags: z.exactOptional(z.record(z.string(), z.json()).nullable()),
})
/** JSON merge patch of an instance; null takes an override back. */
export type InstancePatch = z.output<typeof patchSchema>

export const beatSchema = z.strictObject({
  service: serviceNameSchema,
  id: instanceIdSchema,
  boot: z.exactOptional(bootText),
  load: z.exactOptional(loadSchema),
})
/** One heartbeat of a batch. */
export type Beat = z.output<typeof beatSchema>

export const journalEntrySchema = z.looseObject({
  at: z.number(),
  revision: z.int(),
  service: z.string(),
  id: z.string(),
  what: z.string(),
  by: z.string(),
  why: z.string(),
})
/** One visible change: when (Unix ms), what happened to whom, by whom and why. */
export type JournalEntry = z.output<typeof journalEntrySchema>

const countSchema = z.int().min(0)
const latencySchema = z.number().min(0)

export const gatewayReportSchema = z.strictObject({
  gateway: z.string().regex(/^[\x21-\x7e]{1,256}$/, "must be 1 to 256 characters of visible ASCII"),
  since: z.number().min(0),
  services: z.record(
    serviceNameSchema,
    z.strictObject({
      success: countSchema,
      error: countSchema,
      latencyMs: z.strictObject({ average: latencySchema, p95: latencySchema, p99: latencySchema }),
    }),
  ),
})
/** What a gateway has counted per service since `since`, Unix ms; a later report of the same gateway replaces it. */
export type GatewayReport = z.output<typeof gatewayReportSchema>

const instanceDetailSchema = z.looseObject({
  ...instanceSchema.shape,
  origin: originSchema,
  lease: leaseSchema.nullable(),
  load: z.exactOptional(z.looseObject(loadSchema.shape)),
  override: z.exactOptional(overrideSchema),
  probing: z.exactOptional(probingSchema),
})
/** An instance with what lists leave out. */
export type InstanceDetail = z.output<typeof instanceDetailSchema>

const define = <const R extends RouteDefinition>(route: R): R => route

/** The native routes of a discovery server. */
export const routes = {
  listServices: define({
    method: "GET",
    path: "/v1/services",
    summary: "All services with their counts",
    replies: {
      200: z.looseObject({
        ...position,
        services: z.array(z.looseObject({ name: z.string(), instances: z.int(), serving: z.int(), revision: z.int() })),
      }),
    },
    errors: [],
  }),
  listInstances: define({
    method: "GET",
    path: "/v1/services/:service/instances",
    summary: "The instances of a service; empty for an unknown one",
    params: serviceParams,
    query: instanceFilterSchema,
    replies: {
      200: z.looseObject({ service: z.string(), ...position, instances: z.array(instanceSchema) }),
      304: "empty",
    },
    errors: ["invalid_request"],
  }),
  getInstance: define({
    method: "GET",
    path: "/v1/services/:service/instances/:id",
    summary: "One instance with lease, load, override and how probing it goes",
    params: instanceParams,
    replies: { 200: instanceDetailSchema },
    errors: ["invalid_request", "not_found"],
  }),
  register: define({
    method: "PUT",
    path: "/v1/services/:service/instances/:id",
    summary: "Registers an instance, or replaces what it sent before",
    params: instanceParams,
    body: registrationSchema,
    replies: { 200: z.looseObject({ instance: instanceSchema }), 201: z.looseObject({ instance: instanceSchema }) },
    errors: ["invalid_request", "unauthorized", "conflict", "payload_too_large", "limit_exceeded", "storage_unavailable"],
    mutates: true,
  }),
  heartbeat: define({
    method: "PUT",
    path: "/v1/services/:service/instances/:id/heartbeat",
    summary: "Renews a lease; 404 means register again",
    params: instanceParams,
    body: z.strictObject({ boot: z.exactOptional(bootText), load: z.exactOptional(loadSchema) }).default({}),
    replies: {
      200: z.looseObject({ expiresAt: z.number().nullable() }),
      202: z.looseObject({ pending: z.boolean() }),
    },
    errors: ["invalid_request", "unauthorized", "not_found", "payload_too_large"],
    mutates: true,
  }),
  heartbeats: define({
    method: "POST",
    path: "/v1/heartbeats",
    summary: "Renews many leases at once",
    body: z.strictObject({ beats: z.array(beatSchema).max(1000) }),
    replies: {
      200: z.looseObject({
        results: z.array(
          z.looseObject({
            service: z.string(),
            id: z.string(),
            status: z.union([z.literal(200), z.literal(202), z.literal(404)]),
            expiresAt: z.exactOptional(z.number().nullable()),
          }),
        ),
      }),
    },
    errors: ["invalid_request", "unauthorized", "payload_too_large"],
    mutates: true,
  }),
  patchInstance: define({
    method: "PATCH",
    path: "/v1/services/:service/instances/:id",
    summary: "Overrides weight or state, or merges tags; with `boot` the wish is the instance's own",
    params: instanceParams,
    query: z.strictObject({ boot: z.exactOptional(bootText) }),
    body: patchSchema,
    replies: { 200: z.looseObject({ instance: instanceSchema }) },
    errors: ["invalid_request", "unauthorized", "not_found", "payload_too_large", "storage_unavailable"],
    mutates: true,
  }),
  deregister: define({
    method: "DELETE",
    path: "/v1/services/:service/instances/:id",
    summary: "Removes an instance; with `boot` only that process's registration",
    params: instanceParams,
    query: z.strictObject({ boot: z.exactOptional(bootText) }),
    replies: { 204: "empty" },
    errors: ["invalid_request", "unauthorized", "not_found", "storage_unavailable"],
    mutates: true,
  }),
  findInstances: define({
    method: "GET",
    path: "/v1/instances",
    summary: "Instances by repository, over all services",
    query: z.strictObject({ repo: z.string().min(1).max(256) }),
    replies: { 200: z.looseObject({ ...position, instances: z.array(instanceSchema) }) },
    errors: ["invalid_request"],
  }),
  watch: define({
    method: "GET",
    path: "/v1/watch",
    summary: "Server-Sent Events of every change; without `service` of all services",
    query: z.strictObject({
      service: z.exactOptional(oneOrMore(serviceNameSchema)),
      fresh: z.exactOptional(oneOrMore(serviceNameSchema)),
    }),
    replies: { 200: "events" },
    errors: ["invalid_request", "limit_exceeded"],
  }),
  journal: define({
    method: "GET",
    path: "/v1/journal",
    summary: "Visible changes, newest first",
    query: z.strictObject({
      service: z.exactOptional(serviceNameSchema),
      id: z.exactOptional(instanceIdSchema),
      limit: z.coerce.number().int().min(1).max(10_000).default(100),
    }),
    replies: { 200: z.looseObject({ entries: z.array(journalEntrySchema) }) },
    errors: ["invalid_request"],
  }),
  report: define({
    method: "POST",
    path: "/v1/reports",
    summary: "What a gateway has counted since it started; forgotten after 30 s without another one",
    body: gatewayReportSchema,
    replies: { 204: "empty" },
    errors: ["invalid_request", "unauthorized", "payload_too_large", "limit_exceeded"],
    mutates: true,
  }),
} as const

export type Routes = typeof routes
export type RouteName = keyof Routes
