import type { Instance } from "./service-model.ts"

/** The whole of a service at one moment, as a source knows it. The receiver diffs. */
export interface ServiceSnapshot {
  service: string
  instances: readonly Instance[]
  /** Counter of the registry this came from, where there is one. */
  revision?: number
  /** Unix ms at which the source learned it. */
  at: number
  /** True while the source cannot reach what it reads from; the instances are the last known ones. */
  stale?: boolean
}

/** Something that yields snapshots of a service's instances: registry, discovery server, Docker, configuration. */
export interface InstanceSource {
  readonly name: string
  /** Yields the present snapshot first, then one after each change; bursts keep only the newest. Ends when `signal` aborts. */
  watch(service: string, signal: AbortSignal): AsyncIterable<ServiceSnapshot>
}

/** A source that also knows which services there are. */
export interface ServiceCatalog {
  /** Yields all service names, then again after each change. Ends when `signal` aborts. */
  services(signal: AbortSignal): AsyncIterable<string[]>
}
