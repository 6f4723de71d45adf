import type { Check, Clock, Health, Instance, InstanceKey, Probing, Random } from "@meshwork/contract"
import type { Packet } from "./packet-ring.ts"
import type { Probe, ProbeOptions, ProbeOutcome } from "./probe.ts"

/** What is probed: an instance with a declared check. */
export type PollTarget = Pick<Instance, "service" | "id" | "host" | "port" | "scheme" | "boot"> & {
  check: Check
  /** What is already known; an instance that was failing stays so until a probe says otherwise. */
  health: Pick<Health, "status" | "since" | "reason" | "penalty">
}

/** A conclusion of the poller, reported when it changes. */
export interface Verdict extends InstanceKey {
  status: "passing" | "failing"
  /** What was probed, what came back, how long it took, and what will change the verdict. */
  reason: string
  boot?: string
  availability: number
  /** How much it flapped of late, where it did. */
  penalty?: number
}

export interface PollerOptions {
  onVerdict: (verdict: Verdict) => void
  /** Hears when this process itself gets in the way of its probes, and when that is over. */
  onTrouble?: (trouble: Trouble) => void
  clock: Clock
  random: Random
  /** Probes under way at once, those that linger for more than a tenth of a second left out. Default 200. */
  concurrency?: number
  /** Lingering probes beside them. Default ten times `concurrency`. */
  lingering?: number
  /** User-Agent of HTTP probes. Default `meshwork-health`. */
  userAgent?: string
  /** How HTTP probes judge certificates. Default: as Node does it, for the host of the instance. */
  tls?: ProbeOptions["tls"]
  /** How one probe is made. Default: HTTP GET, TCP connect or ICMP echo, by the target's check. */
  probe?: Probe
  /** Memory for the packet histories of all targets together, bytes; the oldest packets go first. Default 256 MiB. */
  historyBytes?: number
}

/** Something about this process that keeps it from judging others. */
export interface Trouble {
  kind: "cut-off" | "fault"
  /** False when it is over. */
  present: boolean
  /** A sentence. */
  message: string
}

/** Where probing a target stands. */
export interface PollState extends Probing {
  /** Unix ms since when it is polled, of the last probe, and of the last one that was no success. */
  since: number
  lastCheckedAt: number | undefined
  lastFailureAt: number | undefined
}

/** Figures of a poller. */
export interface PollerStatistics {
  targets: number
  underWay: number
  waiting: number
  /** How late the longest overdue probe is, ms. */
  lateMs: number
  /** Unix ms since when this process seems to be cut off from the network. */
  cutOffSince: number | undefined
  historyBytes: number
  /** Probes since the start, by how they ended. */
  probes: Readonly<Record<ProbeOutcome, number>>
}

/** Probes targets on their own schedules. State is kept by identity, not by configuration. */
export interface Poller {
  /** Replaces all targets; unchanged ones keep their schedule and history, a new boot is probed at once. */
  sync(targets: readonly PollTarget[]): void
  /** The latest probes of a target, oldest first, read from the history as they are taken; empty for an unknown target. */
  history(key: InstanceKey, limit?: number): Iterable<Packet>
  state(key: InstanceKey): PollState | undefined
  statistics(): PollerStatistics
  /** Starts no probes any more, or does again: what was due meanwhile within a second. History and counters stay. */
  pause(paused: boolean): void
  /** Ends every probe under way. Idempotent. */
  close(): Promise<void>
}
