import type { InstanceSource, ServiceCatalog, ServiceSnapshot } from "@meshwork/contract"
import type { Backends, DockerRoute, SeenContainer } from "./instances.ts"

/** What is known of the connection to the engine. */
export interface DockerStatus {
  /** How the engine is reached. */
  readonly address: string
  /** Whether its events are heard and the last list came. */
  readonly connected: boolean
  /** How old the last list is, ms; null before the first one. */
  readonly ageMs: number | null
  /** Why there is no contact; absent while there is. */
  readonly problem?: string
  /** Containers in the last list, with and without labels for us. */
  readonly containers: number
  /** Lists read and connections made since the start. */
  readonly lists: number
  readonly connections: number
}

/** Containers with labels, as instances of services. */
export interface DockerSource extends InstanceSource, ServiceCatalog {
  /** Yields the routes that containers ask for, then again after each change. Ends when `signal` aborts. */
  routes(signal: AbortSignal): AsyncIterable<readonly DockerRoute[]>
  /** Yields when the engine was listed for the first time, and whenever any snapshot changed since; bursts are one. Ends when `signal` aborts. */
  changes(signal: AbortSignal): AsyncIterable<number>
  /** Identity of the engine; undefined before the first list. */
  readonly engine: string | undefined
  /** Goes by other backends from now on, without asking the engine again. */
  setBackends(backends: Backends): void
  status(): DockerStatus
  /** Every container that has labels for us, those that are not used too, with the reason. */
  containers(): readonly SeenContainer[]
  /** What is known of every service, for whoever remembers it over a restart. */
  snapshots(): readonly ServiceSnapshot[]
  /** Resolves when the engine was asked for the first time, with or without an answer. */
  readonly asked: Promise<void>
  /** Ends the connection and every iteration. Idempotent. */
  close(): Promise<void>
}
