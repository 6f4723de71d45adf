import type { Clock } from "@meshwork/contract"
import { HostLookup, type Lookup } from "./host-lookup.ts"
import type { PollTarget } from "./poller.ts"
import { probes } from "./probes/index.ts"

/**
 * How one probe ended: `active` well; `inactive` answered, but not well, or an echo without reply; `unreachable` refused, reset,
 * unresolvable, bad certificate or no answer in time; `fault` a fault of this process, which says nothing about the target.
 */
export type ProbeOutcome = "active" | "inactive" | "unreachable" | "fault"

/** Result of one probe. */
export interface ProbeResult {
  outcome: ProbeOutcome
  /** What was tried, what came back and how long it took. */
  reason: string
  /** What came back, in few words and without times, for the history; absent where all is well. */
  said?: string
  /** Whether the time limit ended it. */
  timedOut?: true
  /** Whether the port refused the connection: the host is there, and nothing listens. */
  refused?: true
  /** Whether something came back from another machine, nothing did although it should have, or this machine has no way there; absent where it tells nothing. */
  network?: "heard" | "silent" | "no-way"
}

/** Where a probe goes. */
export type ProbeTarget = Pick<PollTarget, "host" | "port" | "scheme" | "check"> & Partial<Pick<PollTarget, "service">>

/** How the certificates of a service's https instances are judged; the `insecure` of a check counts as well. */
export interface ProbeTls {
  /** PEM of the authorities to believe, in place of those that Node brings. */
  ca?: string | undefined
  /** Name a certificate must be for, also sent as SNI; default the host of the instance. */
  serverName?: string | undefined
  /** Accepts any certificate; default false. */
  insecure?: boolean | undefined
}

/** What probes need of their process. */
export interface ProbeOptions {
  clock: Clock
  /** User-Agent of HTTP probes. */
  userAgent: string
  /** Resolves the names of hosts. */
  lookup: Lookup
  /** Asked at each probe over https; undefined means the authorities that Node brings, and the host of the instance. */
  tls?: ((service: string) => ProbeTls | undefined) | undefined
}

/** Makes one probe within the target's own time limit; ends early when `signal` aborts. Never rejects. */
export type Probe = (target: ProbeTarget, signal: AbortSignal) => Promise<ProbeResult>

/** A kind of probe. */
export interface ProbeKind {
  readonly name: string
  /** Whether it is the one for this target; the first in the list that says so makes the probe. */
  suits(target: ProbeTarget): boolean
  probe(target: ProbeTarget, options: ProbeOptions, signal: AbortSignal): Promise<ProbeResult>
}

/** The probe of this machine: an ICMP echo or a TCP connect for `ping`, TCP for scheme `tcp`, else HTTP GET. */
export function createProbe(given: Omit<ProbeOptions, "lookup">): Probe {
  const options: ProbeOptions = { ...given, lookup: new HostLookup(given.clock).lookup }
  return async (target, signal) => {
    if (signal.aborted) return calledOff
    const kind = probes.find((candidate) => candidate.suits(target))
    return kind === undefined ? { outcome: "fault", reason: `no probe knows ${target.check.method}` } : kind.probe(target, options, signal)
  }
}

/** What a probe says that nobody waits for any more. */
export const calledOff: ProbeResult = { outcome: "fault", reason: "the probe was called off", said: "the probe was called off" }
