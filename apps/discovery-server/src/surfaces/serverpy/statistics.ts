import { setImmediate } from "node:timers/promises"
import { formatHostPort, type Instance } from "@meshwork/contract"
import type { Packet } from "@meshwork/health-poller"
import type { Registry } from "@meshwork/registry-core"
import type { HealthPolling } from "../../health-polling.ts"
import type { GatewayReports } from "../../reports.ts"
import { localTime } from "./local-time.ts"

/** What the statistics are made of. */
export interface StatisticsSource {
  registry: Registry
  polling: HealthPolling
  reports: GatewayReports
}

export interface StatisticsOptions {
  /** Packets of each instance at most, the latest ones. */
  limit: number
  /** Only this service. */
  service?: string | undefined
}

/** Size from which on a piece is handed over, characters. */
const pieceLength = 64 * 1024

const packetsAtOnce = 250

const statuses = {
  active: "active",
  inactive: "inactive",
  unreachable: "service unreachable",
  fault: "discovery server error",
} as const

/** The statistics as JSON in pieces, made while they are read: neither the memory of the whole nor a long pause of everyone else. */
export async function* statisticsPieces(source: StatisticsSource, options: StatisticsOptions): AsyncGenerator<string> {
  let piece = ""
  for (const text of texts(source, options)) {
    piece += text
    if (piece.length < pieceLength) continue
    yield piece
    piece = ""
    // A reader that takes everything at once must not keep this process from anything else.
    await setImmediate()
  }
  yield piece
}

function* texts(source: StatisticsSource, { limit, service }: StatisticsOptions): Generator<string> {
  const { registry, reports } = source
  const names = registry
    .services()
    .map(({ name }) => name)
    .filter((name) => service === undefined || name === service)
  yield '{"service_statistics":['
  let separator = ""
  for (const name of names) {
    for (const instance of registry.list(name).instances) {
      if (instance.check === undefined) continue
      yield separator
      yield* instanceTexts(source, instance, limit)
      separator = ","
    }
  }
  yield `],"services":${JSON.stringify(summaries(registry, service))},"request_statistics":${JSON.stringify(requests(reports, service))}}`
}

function* instanceTexts({ polling }: StatisticsSource, instance: Instance, limit: number): Generator<string> {
  const { service, id, check, tags, scheme, host, port } = instance
  const key = { service, id }
  const written = tags["serverpy.address"]
  const state = polling.state(key)
  const other = polling.polledBy(key)
  const head = {
    instance_url: typeof written === "string" ? written : `${scheme}://${formatHostPort(host, port)}`,
    service_name: service,
    check_start_time: localTime(state?.since),
    last_checked_at: localTime(state?.lastCheckedAt),
    last_failure: localTime(state?.lastFailureAt),
  }
  yield `${JSON.stringify(head).slice(0, -1)},"stats_packets":[`
  let separator = ""
  let some: string[] = []
  for (const packet of polling.history(key, limit)) {
    if (some.push(packetText(packet)) < packetsAtOnce) continue
    yield separator + some.join(",")
    separator = ","
    some = []
  }
  if (some.length > 0) yield separator + some.join(",")
  yield `],"packet_limit":${check?.packetLimit}${other === undefined ? "" : `,"polled_by":${JSON.stringify(other)}`}}`
}

function packetText({ startedAt, durationMs, outcome, said }: Packet): string {
  const times = `"start_time":"${localTime(startedAt)}","end_time":"${localTime(startedAt + durationMs)}"`
  return `{${times},"final_status":"${statuses[outcome]}","response":${said === undefined ? "null" : JSON.stringify(said)}}`
}

function summaries(registry: Registry, only: string | undefined): Record<string, unknown> {
  const wanted = registry.services().filter(({ name }) => only === undefined || name === only)
  return Object.fromEntries(
    wanted.map(({ name, instances: total, serving }) => [
      name,
      { serving, total, status: serving === 0 ? "down" : serving < total ? "degraded" : "up" },
    ]),
  )
}

/** What gateways say they have sent where. */
function requests(reports: GatewayReports, only: string | undefined): unknown[] {
  return reports.current().map(({ gateway, since, services }) => ({
    gateway,
    since: localTime(since),
    services: only === undefined ? services : Object.fromEntries(Object.entries(services).filter(([name]) => name === only)),
  }))
}
