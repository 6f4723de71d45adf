import { createStaticSource, type StaticSource } from "@meshwork/client-sdk/pool"
import type { Clock, Instance, Random } from "@meshwork/contract"
import { createPoller, targetsOf, type Verdict, withVerdict } from "@meshwork/health-poller"

export interface StaticServicesOptions {
  /** Instances by service, as the configuration names them. */
  services: ReadonlyMap<string, readonly Instance[]>
  clock: Clock
  random: Random
  log: (level: "info" | "warn", message: string) => void
}

/** The services of the configuration file, probed by the gateway itself as long as nobody else answers for them. */
export interface StaticServices {
  readonly source: StaticSource
  /** Begins or ends probing the instances of a service that declare a check. */
  poll(service: string, wanted: boolean): void
  /** Idempotent. */
  close(): Promise<void>
}

/** Makes the static services known at once; those that declare a check serve from their first successful probe on. */
export function createStaticServices(options: StaticServicesOptions): StaticServices {
  const { clock, random, log } = options
  const services = new Map([...options.services].map(([name, instances]) => [name, new Map(instances.map((instance) => [instance.id, instance]))]))
  const polled = new Set<string>()
  const source = createStaticSource("configuration")
  for (const [service, instances] of services) source.set(service, [...instances.values()], clock.now())
  const poller = createPoller({
    clock,
    random,
    userAgent: "meshwork-gateway",
    onVerdict: conclude,
    onTrouble: ({ present, message }) => log(present ? "warn" : "info", message),
  })

  function conclude(verdict: Verdict): void {
    const instances = services.get(verdict.service)
    const instance = instances?.get(verdict.id)
    if (instances === undefined || instance === undefined) return
    const next = withVerdict(instance, verdict, clock.now(), "gateway")
    instances.set(verdict.id, next)
    source.set(verdict.service, [...instances.values()], clock.now())
    if (next.standing === instance.standing) return
    log(next.standing === "serving" ? "info" : "warn", `${verdict.service} ${verdict.id} is ${next.standing}: ${next.why}`)
  }

  return {
    source,
    poll(service, wanted) {
      if (polled.has(service) === wanted) return
      if (wanted) polled.add(service)
      else polled.delete(service)
      poller.sync([...polled].flatMap((name) => targetsOf([...(services.get(name)?.values() ?? [])])))
    },
    close: () => poller.close(),
  }
}
