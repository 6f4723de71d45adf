import { MeshError } from "@meshwork/contract"
import { type AdminConnection, another } from "./admin-connection.ts"

/** What a gateway has counted since it started. */
export interface GatewayCounts {
  success: number
  error: number
  averageMs: number
  p95Ms: number
  p99Ms: number
}

/** The counts of a gateway at one time. */
export interface GatewaySample {
  /** Monotonic ms. */
  at: number
  inFlight: number
  total: GatewayCounts
  routes: ReadonlyMap<string, GatewayCounts & { service: string; instances?: { serving: number; all: number } }>
  /** The answer of `/stats` as it came. */
  raw: Record<string, unknown>
}

/** Reads `/stats`, and from `/routes` how many instances serve. */
export async function readStats(admin: AdminConnection, at: number): Promise<GatewaySample> {
  const [raw, described] = await Promise.all([admin.get("/stats"), admin.get("/routes")]).catch((error: unknown) => {
    if (!MeshError.is(error) || (error.code !== "not_found" && error.code !== "no_route")) throw error
    const hint = `${admin.url} has no statistics of a gateway: ${error.message}; --gateway takes an admin port, --server a discovery server`
    throw new MeshError("not_found", hint, { cause: error })
  })
  const total = countsOf(raw)
  if (total === undefined) throw another(admin.url, 200)
  const instances = new Map(
    ((described["routes"] ?? []) as { name?: string; instances?: { standing?: string }[] }[]).map((route) => [
      route.name ?? "",
      { serving: (route.instances ?? []).filter(({ standing }) => standing === "serving").length, all: route.instances?.length ?? 0 },
    ]),
  )
  const routes = Object.entries((raw["routes"] ?? {}) as Record<string, Record<string, unknown>>).flatMap(([name, value]) => {
    const counts = countsOf(value)
    const known = instances.get(name)
    return counts === undefined
      ? []
      : [[name, { ...counts, service: String(value["service"]), ...(known === undefined ? {} : { instances: known }) }] as const]
  })
  return { at, inFlight: Number(raw["in_flight"] ?? 0), total, routes: new Map(routes), raw }
}

function countsOf(value: Record<string, unknown>): GatewayCounts | undefined {
  const { success, error } = (value["requests_count"] ?? {}) as { success?: number; error?: number }
  const { average, p95, p99 } = (value["latency_ms"] ?? {}) as { average?: number; p95?: number; p99?: number }
  if (typeof success !== "number" || typeof error !== "number") return undefined
  return { success, error, averageMs: average ?? 0, p95Ms: p95 ?? 0, p99Ms: p99 ?? 0 }
}

/** Requests and errors per second between two samples; undefined without an earlier one, or when the gateway was started anew. */
export function ratesOf(now: GatewayCounts, before: GatewayCounts | undefined, ms: number): { requests: number; errors: number } | undefined {
  if (before === undefined || ms <= 0) return undefined
  const requests = now.success + now.error - before.success - before.error
  const errors = now.error - before.error
  return requests < 0 || errors < 0 ? undefined : { requests: (requests * 1000) / ms, errors: (errors * 1000) / ms }
}
