import type {
  Beat,
  Clock,
  HealthStatus,
  Instance,
  InstanceDetail,
  InstanceKey,
  InstancePatch,
  InstanceRecord,
  JournalEntry,
  Origin,
  Random,
  Registration,
  WatchEventName,
  WatchToken,
} from "@meshwork/contract"
import type { RegistryStorage, ServerInfo } from "./storage-port.ts"

export interface RegistryLimits {
  /** Instances in all. Default 200,000. */
  instances?: number
  /** Services in all. Default 20,000. */
  services?: number
  /** Watchers at once. Default 20,000. */
  watchers?: number
}

export interface RegistryOptions {
  storage: RegistryStorage
  server: ServerInfo
  clock: Clock
  random: Random
  limits?: RegistryLimits
  /** Asks whether a suspect without a check still listens: false only when its port refuses. */
  probeSuspect?: (target: { host: string; port: number }) => Promise<boolean>
  /** One line per state change of the registry itself. */
  log?: (level: "info" | "warn" | "error", message: string, fields?: Readonly<Record<string, unknown>>) => void
}

/** What a poller concluded about one process of an instance. */
export interface HealthReport {
  status: HealthStatus
  reason: string
  by: string
  availability?: number
  /** How much it flapped of late, where it did. */
  penalty?: number
  /** The process that was probed; a report about a predecessor is dropped. */
  boot?: string
}

export type HeartbeatReply = { status: 200; expiresAt: number | null } | { status: 202 } | { status: 404 }

export interface ServiceSummary {
  name: string
  instances: number
  serving: number
  revision: number
}

export interface WatchOptions {
  /** Services to watch; absent = all. */
  services?: readonly string[]
  /** Where the subscriber left off. */
  resume?: WatchToken
  /** Services for which a snapshot is sent whatever `resume` says. */
  fresh?: readonly string[]
}

/** One event of a watch, serialised once for all watchers: the same object is handed to everyone who needs the same bytes. */
export interface WatchFrame {
  event: WatchEventName
  /** JSON of the event's data. */
  json: Buffer
  /** Set on the last frame of a round: everything up to here has been handed out. */
  token?: WatchToken
}

/** One subscription. Bounded by construction: it remembers positions, not events. */
export interface Watch {
  /** What changed since the last call, to be written before the next one; empty when nothing did. */
  take(): WatchFrame[]
  /** Idempotent. */
  close(): void
}

/** Figures of a registry, for metrics. */
export interface RegistryStatistics {
  services: number
  instances: number
  watchers: number
  /** Leases renewed by a heartbeat since the start. */
  heartbeats: number
  /** Visible changes since the start, by what happened. */
  changes: ReadonlyMap<string, number>
}

/** A registration, or what makes one of the present record; asked again when another change came between. What it throws rejects. */
export type RegistrationSource = Registration | ((current: InstanceRecord | undefined) => Registration)

/** A live instance and when it was last heard, Unix ms. */
export interface CheckIn {
  instance: Instance
  at: number
}

/** A registry of service instances. Rejections are `MeshError`s. */
export interface Registry {
  readonly position: WatchToken
  /** Whether it can take registrations, and if not, or not fully, why. */
  readiness(): { ready: boolean; reasons: string[] }
  register(
    key: InstanceKey,
    registration: RegistrationSource,
    from: { origin: Origin; by: string },
  ): Promise<{ instance: Instance; created: boolean }>
  heartbeat(beat: Beat): HeartbeatReply
  /** With `boot` the wish is the instance's own; without, the operator's. */
  patch(key: InstanceKey, patch: InstancePatch, from: { by: string; boot?: string }): Promise<Instance>
  /** With `boot` only that process's registration; `not_found` otherwise. */
  deregister(key: InstanceKey, from: { by: string; boot?: string; why?: string }): Promise<void>
  /** Records a verdict; one about an unknown or older process, or without news, changes nothing. */
  reportHealth(key: InstanceKey, report: HealthReport): Promise<void>
  services(): ServiceSummary[]
  /** Live instances of a service, sorted by id; empty for an unknown one. */
  list(service: string): { revision: number; instances: readonly Instance[] }
  /** Instances of a service whose own lease runs, sorted by id: unlike `list` without those that are only held as suspects. */
  checkIns(service: string): CheckIn[]
  get(key: InstanceKey): InstanceDetail | undefined
  findByRepo(repo: string): Instance[]
  /** `wake` is called, at most once until the next `take`, when there is something to take; changes are coalesced for 20 ms. */
  watch(options: WatchOptions, wake: () => void): Watch
  /** Unix ms since when its storage has not been reached, so that reads may be old news; undefined while they are not. Only where it is shared. */
  staleSince(): number | undefined
  /** Whether it is for this server to probe an instance: all of them, unless several servers share the storage. */
  probes(key: InstanceKey): boolean
  /** The server that probes an instance, as far as servers are known. */
  prober(key: InstanceKey): ServerInfo | undefined
  /** Calls `listener` after every change of what `probes` answers; returns how to end that. */
  onDivided(listener: () => void): () => void
  /** The servers over the storage that are there, this one included once the others see it. */
  servers(): readonly ServerInfo[]
  journal(filter: { service?: string; id?: string; limit: number }): JournalEntry[]
  statistics(): RegistryStatistics
  /** Stops timers, ends watches, flushes what was promised and closes the storage. Idempotent. */
  close(): Promise<void>
}
