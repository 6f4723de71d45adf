import { formatHostPort, type Clock } from "@meshwork/contract"
import type { PollTarget } from "./poller.ts"
import { probeHttp } from "./probe-http.ts"
import { probeTcp } from "./probe-tcp.ts"

/**
 * How one probe ended: `active` well; `inactive` answered, but not well; `unreachable` refused, reset, unresolvable,
 * bad certificate or no answer in time; `fault` a fault of this process, which says nothing about the target.
 */
export type ProbeOutcome = "active" | "inactive" | "unreachable" | "fault"

/** Result of one probe. */
export interface ProbeResult {
  outcome: ProbeOutcome
  /** What was tried, what came back and how long it took. */
  reason: string
  /** Whether the time limit ended it. */
  timedOut?: true
  /** Whether the port refused the connection: the host is there, and nothing listens. */
  refused?: true
}

/** Where a probe goes. */
export type ProbeTarget = Pick<PollTarget, "host" | "port" | "scheme" | "check">

/** Makes one probe within the target's own time limit; ends early when `signal` aborts. Never rejects. */
export type Probe = (target: ProbeTarget, signal: AbortSignal) => Promise<ProbeResult>

/** The probe of this machine: TCP connect for `ping` and for scheme `tcp`, else HTTP GET. */
export function createProbe(options: { clock: Clock; userAgent: string }): Probe {
  return (target, signal) =>
    target.check.method === "ping" || target.scheme === "tcp" ? probeTcp(target, options, signal) : probeHttp(target, options, signal)
}

const ownFaults = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"])
const unresolved = new Set(["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NODATA"])

/** What a failed connection says about the target. */
export function connectFailure(target: Pick<ProbeTarget, "host" | "port">, error: unknown, ms: number): ProbeResult {
  const address = formatHostPort(target.host, target.port)
  const code = errorCode(error)
  const after = `after ${Math.round(ms)} ms`
  if (code !== undefined && ownFaults.has(code)) return { outcome: "fault", reason: `this server could not open a connection: ${code}` }
  if (code === "ECONNREFUSED") return { outcome: "unreachable", reason: `connect to ${address} refused ${after}`, refused: true }
  if (code !== undefined && unresolved.has(code)) return { outcome: "unreachable", reason: `host ${target.host} could not be resolved (${code})` }
  if (code === "ECONNRESET" || code === "EPIPE") return { outcome: "unreachable", reason: `connection to ${address} was reset ${after}` }
  const what = code ?? (error instanceof Error ? error.message : String(error))
  return { outcome: "unreachable", reason: `connect to ${address} failed ${after}: ${what}` }
}

/** The `code` of a system or undici error, where there is one. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === "string" ? code : undefined
}
