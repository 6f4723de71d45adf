import type { Instance, InstanceSource, ServiceSnapshot } from "@meshwork/contract"
import { Latest } from "./latest.ts"

/** Instances told by the program itself, such as those of a configuration file. */
export interface StaticSource extends InstanceSource {
  /** Replaces the instances of a service. */
  set(service: string, instances: readonly Instance[], at: number): void
}

/** A source that knows what it is told. A service nobody told of has no instances. */
export function createStaticSource(name: string): StaticSource {
  const snapshots = new Map<string, ServiceSnapshot>()
  const watchers = new Map<string, Set<Latest<ServiceSnapshot>>>()
  return {
    name,
    set(service, instances, at) {
      const snapshot = { service, instances, at }
      snapshots.set(service, snapshot)
      for (const watcher of watchers.get(service) ?? []) watcher.put(snapshot)
    },
    async *watch(service, signal) {
      const latest = new Latest<ServiceSnapshot>(signal)
      latest.put(snapshots.get(service) ?? { service, instances: [], at: 0 })
      const all = watchers.get(service) ?? new Set()
      watchers.set(service, all.add(latest))
      try {
        yield* latest
      } finally {
        all.delete(latest)
      }
    },
  }
}
