/** A container as the engine lists it, reduced to what decides about instances. */
export interface Container {
  /** 64 hex digits. */
  readonly id: string
  /** Its own name, without the slash in front; the short id where it has none. */
  readonly name: string
  readonly image: string
  /** Unix seconds. */
  readonly created: number
  /** `running`, `paused`, `restarting` …, lower-case. */
  readonly state: string
  /** What its HEALTHCHECK says; `none` where it has none. */
  readonly health: "none" | "starting" | "healthy" | "unhealthy"
  readonly labels: Readonly<Record<string, string>>
  readonly ports: readonly ContainerPort[]
  readonly networks: readonly ContainerNetwork[]
  /** Whether it uses the network of the machine itself. */
  readonly hostNetwork: boolean
}

/** A port a container exposes; published where it has a public one. */
export interface ContainerPort {
  readonly privatePort: number
  readonly publicPort?: number
  /** Address of the machine it is published on; absent where it is not published. */
  readonly ip?: string
  /** `tcp`, `udp` or `sctp`. */
  readonly type: string
}

/** A network a container is attached to. */
export interface ContainerNetwork {
  readonly id: string
  readonly name: string
  /** The container's own address there, IPv4 before IPv6; absent where it has none. */
  readonly address?: string
  /** Address of the machine in that network; absent where there is none. */
  readonly gateway?: string
}

/** Something that happened at the engine. */
export interface EngineEvent {
  /** `container` or `network`. */
  readonly type: string
  /** Such as `start`, `kill`, `health_status: healthy`, `connect`. */
  readonly action: string
  /** Id of the container it is about. */
  readonly container: string
  /** Number of the signal, for `kill`. */
  readonly signal?: number
  /** Nanoseconds since 1970 on the engine's clock, as text; empty where it says none. */
  readonly timeNano: string
}

/** What `inspect` says beyond the list. */
export interface ContainerDetail {
  readonly running: boolean
  /** Unix ms on the engine's clock. */
  readonly startedAt: number
  /** Name or number of the signal that asks it to stop. */
  readonly stopSignal: string
  /** How long `docker stop` waits before it kills, s. */
  readonly stopTimeoutSeconds: number
}

/** A Docker engine as this room needs it. Every call rejects with a `MeshError` `connection_failed` or `invalid_config`, in time. */
export interface DockerEngine {
  /** How it is reached, for messages. */
  readonly address: string
  /** Identity and name of the engine. */
  info(signal: AbortSignal): Promise<{ id: string; name: string }>
  /** Every container that runs, paused ones included. */
  list(signal: AbortSignal): Promise<Container[]>
  /** Undefined for one that is gone. */
  inspect(id: string, signal: AbortSignal): Promise<ContainerDetail | undefined>
  /** Opens the stream of events; resolves when the engine began to send. The stream ends with it, or when `signal` aborts; it never throws. */
  events(options: { since?: string }, signal: AbortSignal): Promise<AsyncIterable<EngineEvent>>
}
