import type { Check, Clock, Health, Instance, InstanceKey, Random } from "@meshwork/contract"
import type { Packet } from "./packet-ring.ts"
import type { Probe } from "./probe.ts"

/** What is probed: an instance with a declared check. */
export type PollTarget = Pick<Instance, "service" | "id" | "host" | "port" | "scheme" | "boot"> & {
  check: Check
  /** What is already known; an instance that was failing stays so until a probe says otherwise. */
  health: Pick<Health, "status" | "since" | "reason">
}

/** A conclusion of the poller, reported when it changes. */
export interface Verdict extends InstanceKey {
  status: "passing" | "failing"
  /** What was probed, what came back and how long it took. */
  reason: string
  boot?: string
  availability: number
}

export interface PollerOptions {
  onVerdict: (verdict: Verdict) => void
  clock: Clock
  random: Random
  /** Probes under way at once; targets that hang get at most half of them. Default 200. */
  concurrency?: number
  /** User-Agent of HTTP probes. Default `meshwork-health`. */
  userAgent?: string
  /** How one probe is made. Default: HTTP GET, or TCP connect, by the target's check. */
  probe?: Probe
  /** Memory for the packet histories of all targets together, bytes; the oldest packets go first. Default 256 MiB. */
  historyBytes?: number
}

/** Probes targets on their own schedules. State is kept by identity, not by configuration. */
export interface Poller {
  /** Replaces all targets; unchanged ones keep their schedule and history, a new boot is probed at once. */
  sync(targets: readonly PollTarget[]): void
  /** The latest probes of a target, oldest first; empty for an unknown one. */
  history(key: InstanceKey): Packet[]
  /** Ends every probe under way. Idempotent. */
  close(): Promise<void>
}
