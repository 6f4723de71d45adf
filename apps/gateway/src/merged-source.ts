import type { InstanceSource, ServiceSnapshot } from "@meshwork/contract"

/**
 * Both sources together: the instances of a service are those that either knows. The first snapshot comes when both have answered, or one of them
 * with instances; it is stale while one of them has lost contact.
 */
export function mergeSources(one: InstanceSource, other: InstanceSource): InstanceSource {
  return {
    name: `${one.name} and ${other.name}`,
    async *watch(service, signal) {
      const stop = new AbortController()
      const both = AbortSignal.any([signal, stop.signal])
      const known: (ServiceSnapshot | undefined)[] = [undefined, undefined]
      let news = false
      let failure: unknown
      let wake: () => void = () => {}
      const follow = async (source: InstanceSource, index: number): Promise<void> => {
        try {
          for await (const snapshot of source.watch(service, both)) {
            known[index] = snapshot
            news = true
            wake()
          }
        } catch (error) {
          failure ??= error
          wake()
        }
      }
      const following = Promise.all([follow(one, 0), follow(other, 1)])
      const ended = (): void => wake()
      both.addEventListener("abort", ended, { once: true })
      try {
        while (!both.aborted) {
          const snapshots = known.filter((snapshot) => snapshot !== undefined)
          const tellable = snapshots.length === 2 || snapshots.some(({ instances }) => instances.length > 0)
          if (news && tellable) {
            news = false
            yield merged(service, snapshots)
          } else if (failure !== undefined) throw failure
          else await new Promise<void>((resolve) => (wake = resolve))
        }
      } finally {
        stop.abort()
        await following
      }
    },
  }
}

function merged(service: string, snapshots: readonly ServiceSnapshot[]): ServiceSnapshot {
  const at = Math.max(...snapshots.map((snapshot) => snapshot.at))
  const stale = snapshots.some((snapshot) => snapshot.stale === true)
  return { service, instances: snapshots.flatMap(({ instances }) => instances), at, ...(stale ? { stale } : {}) }
}
