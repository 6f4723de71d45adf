import { checkSchema, instanceIdSchema, portSchema, prioritySchema, registrationSchema, serviceNameSchema, weightSchema } from "@meshwork/contract"
import { z } from "zod"

/** Names a route's `balancer` can have. */
export const balancerNames = ["p2c", "random", "round-robin", "least-requests", "availability"] as const
const balancerSchema = z.enum(balancerNames)
/** How a route chooses among the instances that may be used. */
export type BalancerName = z.output<typeof balancerSchema>

const milliseconds = z.number().min(0)
const bindPort = z.union([z.literal(0), portSchema])
const dockerSchema = z.union([
  z.literal(false),
  z.strictObject({
    host: z.exactOptional(z.string()),
    tls: z.exactOptional(z.strictObject({ ca: z.string(), cert: z.string(), key: z.string() })),
  }),
])
/** False, or how to reach the Docker daemon; an empty object means its usual socket. */
export type DockerConfig = z.output<typeof dockerSchema>

/** What a discovery server is started with. */
const discoverySchema = z.strictObject({
  /** What `GET /health` calls it; absent = nothing. */
  name: z.exactOptional(z.string()),
  host: z.string().default("127.0.0.1"),
  /** 0 takes a free one. */
  port: bindPort.default(8008),
  storage: z.string().default("sqlite:.meshwork/registry.sqlite"),
  /** Who may change the registry; none = everyone who reaches it. */
  tokens: z.array(z.strictObject({ name: z.string(), token: z.string() })).default([]),
  insecure: z.boolean().default(false),
  docker: dockerSchema.default(false),
  /** What other machines call this one, for ports that containers publish. */
  advertiseHost: z.exactOptional(z.string()),
})
export type DiscoveryConfig = z.output<typeof discoverySchema>

/** How certificates of https instances are judged; a service's own word counts before what holds for all. */
const upstreamTlsSchema = z.strictObject({
  /** File with the authorities to believe; absent = those that Node brings. */
  ca: z.exactOptional(z.string()),
  services: z
    .record(
      z.string(),
      z.strictObject({
        ca: z.exactOptional(z.string()),
        /** Name a certificate must be for; absent = the host of the instance. */
        serverName: z.exactOptional(z.string()),
        /** Accepts any certificate. */
        insecure: z.boolean().default(false),
      }),
    )
    .default({}),
})

/** What a gateway is started with. */
const gatewaySchema = z.strictObject({
  /** What its log calls it; absent = nothing. */
  name: z.exactOptional(z.string()),
  host: z.string().default("127.0.0.1"),
  /** 0 takes a free one. */
  port: bindPort.default(8080),
  adminPort: bindPort.default(8009),
  /** Address the admin API is bound to: it only tells, but tells everything. */
  adminHost: z.string().default("127.0.0.1"),
  /** URLs of discovery servers, each without a trailing slash; empty = none is asked. */
  discovery: z.array(z.string()).default(["http://127.0.0.1:8008"]),
  /** Whether these servers run on the same file, and so know its services too. */
  registered: z.boolean().default(false),
  docker: dockerSchema.default(false),
  /** Limit of one connect. */
  connectTimeoutMs: milliseconds.default(1000),
  /** How long an exchange may pass no byte either way once response headers came. */
  idleTimeoutMs: milliseconds.default(60_000),
  /** Requests in flight beyond which new ones are shed: `low` ones from three quarters of it, `high` ones from twice as many. */
  maxInFlight: z.int().min(1).default(10_000),
  /** Standing lag of the event loop from which `low` requests are shed, and at ten times of it `normal` ones; 0 = never. */
  maxLagMs: milliseconds.default(20),
  /** One line for each request: on stdout, or in a file. */
  accessLog: z.union([z.boolean(), z.string()]).default(false),
  /** Whether answers say in `Server-Timing` where their time went. */
  serverTiming: z.boolean().default(false),
  /** Files with the certificate (and its chain) and the key of the data port; absent = plain HTTP. */
  tls: z.exactOptional(z.strictObject({ cert: z.string(), key: z.string() })),
  /** How certificates of https instances are judged. */
  upstreamTls: upstreamTlsSchema.prefault({}),
  /** Connections of clients at once; beyond nine tenths of it idle ones are closed, beyond all of it new ones. */
  maxConnections: z.int().min(1).default(20_000),
  /** Addresses and CIDR blocks whose `X-Forwarded-*` and `Forwarded` are believed. */
  trustedProxies: z.array(z.string()).default([]),
  /** Addresses and CIDR blocks whose mesh headers are believed; absent = loopback and private ones. */
  meshPeers: z.exactOptional(z.array(z.string())),
  /** Path of `/stats` on the data port too; absent = on the admin port only. */
  statsPath: z.exactOptional(z.string()),
  /** SQLite file that keeps the counts of `/stats` over restarts, or false for none; absent = `gateway-PORT.sqlite` beside the other data. */
  statsDatabase: z.exactOptional(z.union([z.string(), z.literal(false)])),
  /** Body of GET `/` where no route claims it. */
  rootAnswer: z.exactOptional(z.json()),
  /** Members of the problem body where no route matches, beside or instead of the usual ones. */
  noRouteMembers: z.exactOptional(z.record(z.string(), z.json())),
})
export type GatewayConfig = z.output<typeof gatewaySchema>

/** An instance that the file names; registered for ever. */
const staticInstanceSchema = registrationSchema
  .pick({ host: true, port: true, scheme: true, priority: true, zone: true, region: true, canary: true, tags: true })
  .extend({
    id: instanceIdSchema,
    weight: z.exactOptional(weightSchema),
    priority: prioritySchema.default("med"),
    check: z.exactOptional(checkSchema),
  })
export type StaticInstanceConfig = z.output<typeof staticInstanceSchema>

/** Where a route leads: a service of the registry or of this file, or a backend found by Docker labels. */
const routeTargetSchema = z.strictObject({ kind: z.enum(["service", "backend"]), name: serviceNameSchema })
export type RouteTarget = z.output<typeof routeTargetSchema>

/** One route in the gateway's terms, every default filled in. */
export const routeSchema = z.strictObject({
  /** `exact`; `exact-or-slash`: one trailing slash is ignored; `prefix`: equal, or continued after a slash. */
  match: z.enum(["exact", "exact-or-slash", "prefix"]),
  /** Begins with a slash; a prefix does not end with one, unless it is the root. */
  path: z.string(),
  target: routeTargetSchema,
  /** Only requests for this host, lower-case and without port. */
  host: z.exactOptional(z.string()),
  /** Only these methods, upper-case. */
  methods: z.exactOptional(z.array(z.string()).min(1)),
  stripPrefix: z.boolean().default(false),
  /** From the end of the request head to response headers, over all attempts. */
  timeoutMs: milliseconds.default(30_000),
  /** Requests on the wire at most, the first one included. */
  attempts: z.int().min(1).default(3),
  balancer: balancerSchema.default("p2c"),
  /** What becomes of a service whose checked instances all fail; absent = `spread` for 3 or more, else `fail`. */
  whenAllFail: z.exactOptional(z.enum(["spread", "fail"])),
  /** How long an exchange may pass no byte either way once response headers came; absent = the gateway's. */
  idleTimeoutMs: z.exactOptional(milliseconds),
  /** Status when no instance can be reached. */
  unreachableStatus: z.union([z.literal(502), z.literal(503)]).default(502),
  /** Largest request body, in bytes, that is kept to be sent again. */
  retryBodyLimit: z.int().min(0).default(65_536),
  /** Whether GET and HEAD may carry a body. */
  allowGetBody: z.boolean().default(false),
})
export type RouteConfig = z.output<typeof routeSchema>

/** What the gateway answers where no route matches, in place of a 404 problem body. */
const defaultResponseSchema = z.strictObject({ statusCode: z.int().min(200).max(599), body: z.json() })
export type DefaultResponse = z.output<typeof defaultResponseSchema>

/** The one model every spelling yields. */
export const meshConfigSchema = z.strictObject({
  discovery: discoverySchema.prefault({}),
  gateway: gatewaySchema.prefault({}),
  /** Static instances by service. */
  services: z.record(z.string(), z.strictObject({ instances: z.array(staticInstanceSchema).min(1) })).default({}),
  /** Docker labels by backend: a container is an instance when it has all of them with equal values. */
  backends: z.record(z.string(), z.strictObject({ matchLabels: z.record(z.string(), z.string()) })).default({}),
  routes: z.array(routeSchema).default([]),
  defaultResponse: z.exactOptional(defaultResponseSchema),
})
/** The model as a spelling may hand it over, defaults left out. */
export type MeshConfigInput = z.input<typeof meshConfigSchema>
/** A whole configuration, every default filled in. */
export type MeshConfig = z.output<typeof meshConfigSchema>
