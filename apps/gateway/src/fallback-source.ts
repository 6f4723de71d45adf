import type { InstanceSource, ServiceSnapshot } from "@meshwork/contract"

export interface FallbackOptions {
  /** Hears which half counts, before the first snapshot of it. */
  onUse: (service: string, half: "primary" | "fallback") => void
  /** How long the second half holds back at the beginning while the first one has said nothing; default not at all. */
  patience?: (signal: AbortSignal) => Promise<void>
}

/** A source whose first half counts as long as it names any instance of a service, even the last known ones; else the second half does. */
export function withFallback(primary: InstanceSource, fallback: InstanceSource, options: FallbackOptions): InstanceSource {
  const { onUse, patience } = options
  return {
    name: `${primary.name}, else ${fallback.name}`,
    async *watch(service, signal) {
      const stop = new AbortController()
      const both = AbortSignal.any([signal, stop.signal])
      const known: { primary?: ServiceSnapshot; fallback?: ServiceSnapshot } = {}
      let wake: () => void = () => {}
      let failure: unknown
      let told: ServiceSnapshot | undefined
      let used: "primary" | "fallback" | undefined
      let patient = patience !== undefined
      const use = (half: "primary" | "fallback"): void => {
        if (half !== used) onUse(service, half)
        used = half
      }
      if (patience === undefined) use("fallback")
      else
        void patience(both).then(() => {
          patient = false
          wake()
        })
      const follow = async (half: "primary" | "fallback", source: InstanceSource): Promise<void> => {
        try {
          for await (const snapshot of source.watch(service, both)) {
            known[half] = snapshot
            wake()
          }
        } catch (error) {
          failure ??= error
          wake()
        }
      }
      const following = Promise.all([follow("primary", primary), follow("fallback", fallback)])
      const ended = (): void => wake()
      both.addEventListener("abort", ended, { once: true })
      try {
        while (!both.aborted) {
          const half = known.primary !== undefined && known.primary.instances.length > 0 ? "primary" : "fallback"
          const snapshot = half === "fallback" && patient ? undefined : known[half]
          if (snapshot !== undefined && snapshot !== told) {
            use(half)
            told = snapshot
            yield snapshot
            continue
          }
          if (failure !== undefined) throw failure
          await new Promise<void>((resolve) => (wake = resolve))
        }
      } finally {
        stop.abort()
        await following
      }
    },
  }
}
